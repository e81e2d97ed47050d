/** A place that takes or gives mail. */
export type Endpoint = { address: string; port: number };

/** One relay under test: it listens, and hands everything on to the sink. */
export type Sender = Endpoint & {
  name: string;
  /** Of it or its parent; what is below counts too. */
  pid: number;
  /** CPU used so far, where the process tree does not tell all of it. */
  cpuSeconds?: () => number;
  /** What its log says of connections, where DANE authenticated them. */
  provesDane: () => "yes" | "no";
  stop: () => Promise<void>;
};

/** What a relay is started with: a folder of its own, where it listens, and where its mail is to go. */
export type Assignment = { directory: string; listen: Endpoint; target: Target };

/** Mail for this domain goes to `probe` where a route has one. */
export const PROBE_DOMAIN = "probe.example";

/** `route`: everything to one address, without DNS; `dane`: by MX and TLSA records, which `resolver` (port 53) validates from the anchor. */
export type Target =
  | { kind: "route"; sink: Endpoint; probe?: Endpoint }
  | { kind: "dane"; resolver: string; trustAnchorFile: string };
