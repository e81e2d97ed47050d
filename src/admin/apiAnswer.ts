/** What the API answers: JSON, and for what went wrong one of a closed list of words with a sentence. */
export type ApiError =
  | "bad-request"
  | "filter-required"
  | "token-required"
  | "wrong-token"
  | "too-many-guesses"
  | "actions-disabled"
  | "cross-site"
  | "wrong-host"
  | "not-found"
  | "method-not-allowed"
  | "unsupported-media-type"
  | "too-large"
  | "spool-failed"
  | "internal";

export type ApiAnswer = { status: number; body: unknown; headers?: Readonly<Record<string, string>> };

const STATUS: Record<ApiError, number> = {
  "bad-request": 400,
  "filter-required": 400,
  "token-required": 401,
  "wrong-token": 401,
  "too-many-guesses": 429,
  "actions-disabled": 403,
  "cross-site": 403,
  "wrong-host": 421,
  "not-found": 404,
  "method-not-allowed": 405,
  "unsupported-media-type": 415,
  "too-large": 413,
  "spool-failed": 503,
  internal: 500,
};

export function answered(body: unknown): ApiAnswer {
  return { status: 200, body };
}

/** `message`: what is wrong and what to do. */
export function refused(error: ApiError, message: string): ApiAnswer {
  const status = STATUS[error];
  // RFC 9110 §11.6.1: a 401 says how to authenticate.
  return { status, body: { error, message }, ...(status === 401 ? { headers: { "www-authenticate": "Bearer" } } : {}) };
}
