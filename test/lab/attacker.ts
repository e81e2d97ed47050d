import { connect, createServer, type Socket } from "node:net";

/**
 * An active attacker on the path between the relay and one receiver: a TCP proxy that keeps every octet which the relay sent, and does to
 * each connection what its plan says. It never learns a key of the receiver: inside TLS it can only break, delay and cut.
 */
export type WireAttack =
  /** Everything goes through. */
  | { kind: "idle" }
  /** The attacker's own mail server answers instead of the receiver. */
  | { kind: "endpoint"; endpoint: string }
  /** STARTTLS is taken out of what the receiver offers, or made unreadable. */
  | { kind: "strip"; as: "gone" | "XXXXXXXX" }
  /** STARTTLS is answered here, and the receiver never hears of it; what follows goes through. */
  | { kind: "answer-starttls"; reply: string }
  /** These octets are put before the n-th thing that goes this way. */
  | { kind: "inject"; toward: Way; before: number; octets: string }
  /** These octets are put behind the 220 to STARTTLS, in the same segment (CVE-2011-0411 from the other side). */
  | { kind: "inject-behind-220"; octets: string }
  /** One bit is flipped, in clear text or inside TLS. */
  | { kind: "flip"; toward: Way; at: number }
  | { kind: "cut"; toward: Way; at: number; how: "end" | "reset" }
  /** Silence after so many octets; the connection stays. */
  | { kind: "stall"; toward: Way; at: number }
  | { kind: "delay"; milliseconds: number }
  /** What the receiver said in an earlier session, TLS records and all, is said again. */
  | { kind: "replay" };

export type Way = "relay" | "receiver";

/** One connection of the relay's, and what the attacker could read of it without any key. */
export type Tapped = { client: string; fromRelay: Buffer[]; open: boolean };

export type Attacker = {
  address: string;
  /** Every connection from that address since the last call. */
  take: (client: string) => readonly Tapped[];
  stop: () => Promise<void>;
};

export type AttackerOptions = {
  address: string;
  receiver: { address: string; port: number };
  endpoint: (name: string) => { address: string; port: number };
  /** Asked for each connection; `client` is the address that the relay connects from. */
  attack: (client: string) => WireAttack;
};

/** Octets of a session of the receiver's that are kept for a replay. */
const MAX_RECORDED_OCTETS = 16_384;

type Write = (octets: Buffer) => void;
/** What becomes of each chunk on one way. */
type Filter = (chunk: Buffer, pass: Write) => void;

/** Both directions of one connection; each filter passes on what it wants. */
type Wire = { client: Socket; server: Socket };

function passing(chunk: Buffer, pass: Write): void {
  pass(chunk);
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Without the keyword the reply has to stay well-formed: its last line has a space behind the code (RFC 5321 §4.2.1). */
function withoutStarttls(chunk: Buffer, as: "gone" | "XXXXXXXX"): Buffer {
  const text = chunk.toString("latin1");
  if (as === "XXXXXXXX") return latin1(text.replaceAll(/STARTTLS/gi, as));
  return latin1(text.replaceAll(/^250-STARTTLS\r\n/gim, "").replaceAll(/250-([^\r\n]*)\r\n250 STARTTLS\r\n/gi, "250 $1\r\n"));
}

function counted(at: number, then: (before: Buffer, after: Buffer, pass: Write) => void): Filter {
  let seen = 0;
  return (chunk, pass) => {
    const start = seen;
    seen += chunk.length;
    if (start <= at && at < seen) then(chunk.subarray(0, at - start), chunk.subarray(at - start), pass);
    else pass(chunk);
  };
}

function flipping(at: number): Filter {
  return counted(at, (before, after, pass) => {
    const changed = Buffer.from(after);
    changed[0] = (changed[0] ?? 0) ^ 1;
    pass(Buffer.concat([before, changed]));
  });
}

function cutting(at: number, how: "end" | "reset", { client, server }: Wire): Filter {
  return counted(at, (before, _after, pass) => {
    pass(before);
    for (const socket of [client, server]) {
      if (how === "end") socket.end();
      else socket.resetAndDestroy();
    }
  });
}

function stalling(at: number): Filter {
  let silent = false;
  const stall = counted(at, (before, _after, pass) => {
    silent = true;
    pass(before);
  });
  return (chunk, pass) => {
    if (!silent) stall(chunk, pass);
  };
}

function injecting(octets: string, before: number): Filter {
  let chunks = 0;
  return (chunk, pass) => {
    pass(chunks === before ? Buffer.concat([latin1(octets), chunk]) : chunk);
    chunks += 1;
  };
}

function behind220(octets: string): Filter {
  let greeted = false;
  return (chunk, pass) => {
    const isReply = greeted && chunk.toString("latin1").startsWith("220 ");
    greeted = true;
    pass(isReply ? Buffer.concat([chunk, latin1(octets)]) : chunk);
  };
}

function delaying(milliseconds: number): Filter {
  return (chunk, pass) => {
    setTimeout(() => pass(chunk), milliseconds);
  };
}

/** The way back to the relay is needed to answer in the receiver's place. */
function answeringStarttls(reply: string, { client }: Wire): Filter {
  return (chunk, pass) => {
    if (/^STARTTLS\r\n/i.test(chunk.toString("latin1"))) client.write(latin1(reply));
    else pass(chunk);
  };
}

type Filters = { toRelay: Filter; toReceiver: Filter };

function filtersFor(attack: WireAttack, wire: Wire): Filters {
  const on = (way: Way, filter: Filter): Filters =>
    way === "relay" ? { toRelay: filter, toReceiver: passing } : { toRelay: passing, toReceiver: filter };
  switch (attack.kind) {
    case "idle":
    case "endpoint":
    case "replay":
      return { toRelay: passing, toReceiver: passing };
    case "strip":
      return on("relay", (chunk, pass) => pass(withoutStarttls(chunk, attack.as)));
    case "answer-starttls":
      return on("receiver", answeringStarttls(attack.reply, wire));
    case "inject":
      return on(attack.toward, injecting(attack.octets, attack.before));
    case "inject-behind-220":
      return on("relay", behind220(attack.octets));
    case "flip":
      return on(attack.toward, flipping(attack.at));
    case "cut":
      return on(attack.toward, cutting(attack.at, attack.how, wire));
    case "stall":
      return on(attack.toward, stalling(attack.at));
    case "delay":
      return { toRelay: delaying(attack.milliseconds), toReceiver: delaying(attack.milliseconds) };
    default:
      return attack satisfies never;
  }
}

function join({ client, server }: Wire, filters: Filters, tapped: Tapped, record: (chunk: Buffer) => void): void {
  const writeTo =
    (socket: Socket): Write =>
    (octets) => {
      if (socket.writable) socket.write(octets);
    };
  client.on("data", (chunk) => {
    tapped.fromRelay.push(chunk);
    filters.toReceiver(chunk, writeTo(server));
  });
  server.on("data", (chunk) => {
    record(chunk);
    filters.toRelay(chunk, writeTo(client));
  });
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on("end", () => other.end());
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
}

/** Says the recorded chunks again: the first at once, each further one when the relay has said something. */
function replaying(client: Socket, recording: readonly Buffer[], tapped: Tapped): void {
  const left = [...recording];
  const say = (): void => {
    const chunk = left.shift();
    if (chunk === undefined) client.end();
    else client.write(chunk);
  };
  client.on("data", (chunk) => {
    tapped.fromRelay.push(chunk);
    say();
  });
  client.on("error", () => client.destroy());
  say();
}

/** Listens on port 25 of `address` until `stop`. */
export async function startAttacker(options: AttackerOptions): Promise<Attacker> {
  const sockets = new Set<Socket>();
  let connections: Tapped[] = [];
  let recording: readonly Buffer[] = [];
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
  };
  const listener = createServer((client) => {
    keep(client);
    const tapped: Tapped = { client: client.remoteAddress ?? "", fromRelay: [], open: true };
    connections.push(tapped);
    client.on("close", () => {
      tapped.open = false;
    });
    const attack = options.attack(tapped.client);
    if (attack.kind === "replay" && recording.length > 0) return replaying(client, recording, tapped);
    const target = attack.kind === "endpoint" ? options.endpoint(attack.endpoint) : options.receiver;
    const server = connect(target.port, target.address);
    keep(server);
    const said: Buffer[] = [];
    let octets = 0;
    join({ client, server }, filtersFor(attack, { client, server }), tapped, (chunk) => {
      octets += chunk.length;
      if (attack.kind === "idle" && octets <= MAX_RECORDED_OCTETS) said.push(chunk);
    });
    client.on("close", () => {
      if (said.length > 0) recording = said;
    });
  });
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen({ host: options.address, port: 25, exclusive: true }, resolve);
  });
  return {
    address: options.address,
    take: (client) => {
      const taken = connections.filter((tapped) => tapped.client === client);
      connections = connections.filter((tapped) => tapped.client !== client);
      return taken;
    },
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}
