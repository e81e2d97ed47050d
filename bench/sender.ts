/** One relay under test: it listens, and hands everything on to the sink. */
export type Sender = { name: string; pid: number; address: string; port: number; stop: () => Promise<void> };
