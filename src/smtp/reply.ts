/** One SMTP reply (RFC 5321 §4.2): three-digit code, enhanced status (RFC 2034) if given, and the text of each line without it. */
export type Reply = { code: number; enhanced?: string; lines: readonly string[] };
