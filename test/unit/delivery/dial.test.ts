import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { mock, test } from "node:test";
import { ATTEMPT_DELAY_MILLISECONDS, dial } from "../../../src/delivery/dial.ts";
import { hangingListener } from "../../fake/hangingListener.ts";
import { heldTimers } from "../../fake/heldTimers.ts";

/** RFC 8305 §5 with real sockets: listeners on loopback addresses of one port, some closed, some hanging. */
const NETWORK = `127.112.${1 + (process.pid % 250)}`;
const at = (n: number) => `${NETWORK}.${n}`;

type Listener = { server: Server; port: number; peers: string[]; open: Set<Socket> };

async function listen(address: string, port = 0): Promise<Listener> {
  const peers: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    peers.push(socket.remoteAddress ?? "");
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
    socket.resume();
  }).listen(port, address);
  await once(server, "listening");
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return { server, port: bound.port, peers, open };
}

async function closed({ server, open }: Listener): Promise<void> {
  for (const socket of open) socket.destroy();
  server.close();
  await once(server, "close");
}

/** Where the next address is begun only when the test says so, or when one fails. */
function timelessTest(title: string, run: () => Promise<void>): void {
  test(title, () => run().finally(() => mock.timers.reset()));
}

async function connectedTo(targets: Parameters<typeof dial>[0], port: number): Promise<{ address: string; close: () => void }> {
  const dialled = await dial(targets, { port, connectSeconds: 20 });
  assert.ok(dialled.kind === "connected", JSON.stringify(dialled));
  return { address: dialled.address, close: () => dialled.socket.destroy() };
}

timelessTest("an address that answers is the only one that hears of us", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const first = await listen(at(1));
  const second = await listen(at(2), first.port);
  const { address, close } = await connectedTo([{ address: at(1) }, { address: at(2) }], first.port);
  assert.deepEqual([address, second.peers], [at(1), []]);
  close();
  await closed(first);
  await closed(second);
});

test("the next one at once where the first refuses", async () => {
  const second = await listen(at(2));
  const { address, close } = await connectedTo([{ address: at(1) }, { address: at(2) }], second.port);
  assert.equal(address, at(2));
  close();
  await closed(second);
});

test("the next ones beside two that hang; from there only one connection comes", async () => {
  const hanging = await hangingListener(at(1));
  const alsoHanging = await hangingListener(at(2), hanging.port);
  const third = await listen(at(3), hanging.port);
  const { address, close } = await connectedTo([{ address: at(1) }, { address: at(2) }, { address: at(3) }], hanging.port);
  assert.equal(address, at(3));
  assert.equal(third.peers.length, 1);
  close();
  await closed(third);
  await hanging.close();
  await alsoHanging.close();
});

timelessTest("a fourth waits until one of three that hang is given up", async () => {
  const one = await hangingListener(at(1));
  const hanging = [one, await hangingListener(at(2), one.port), await hangingListener(at(3), one.port)];
  const fourth = await listen(at(4), one.port);
  mock.timers.enable({ apis: ["setTimeout"] });
  const targets = [2, 3, 4].map((n) => ({ address: at(n) }));
  const dialling = dial([{ address: at(1) }, ...targets], { port: one.port, connectSeconds: 30 });
  for (let i = 0; i < 10; i += 1) {
    mock.timers.tick(ATTEMPT_DELAY_MILLISECONDS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(fourth.peers, []);
  mock.timers.tick(30_000);
  const dialled = await dialling;
  mock.timers.reset();
  assert.ok(dialled.kind === "connected" && dialled.address === at(4));
  dialled.socket.destroy();
  await closed(fourth);
  for (const each of hanging) await each.close();
});

test("nobody takes a connection: each address says why", async (t) => {
  const hanging = await hangingListener(at(1));
  const { port } = hanging;
  const timers = heldTimers(t);
  const dialling = dial([{ address: at(1) }, { address: at(2) }], { port, connectSeconds: 30 });
  await timers.pass(ATTEMPT_DELAY_MILLISECONDS);
  await timers.pass(30_000);
  const dialled = await dialling;
  assert.ok(dialled.kind === "failed");
  assert.deepEqual(
    new Set(dialled.failures.map(({ text }) => text)),
    new Set([`${at(2)} port ${port}: connection refused`, `${at(1)} port ${port}: no connection within 30 s`]),
  );
  await hanging.close();
});

timelessTest("each family from its own local address", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const four = await listen(at(1));
  const six = await listen("::1", four.port);
  const targets = { four: { address: at(1), localAddress: at(99) }, six: { address: "::1", localAddress: "::1" } };
  (await connectedTo([targets.four, targets.six], four.port)).close();
  (await connectedTo([targets.six, targets.four], four.port)).close();
  assert.deepEqual([four.peers, six.peers], [[at(99)], ["::1"]]);
  await closed(four);
  await closed(six);
});

test("a local address that is not ours fails that address only", async () => {
  const second = await listen(at(2));
  const { address, close } = await connectedTo([{ address: at(2), localAddress: "192.0.2.1" }, { address: at(2) }], second.port);
  assert.equal(address, at(2));
  close();
  await closed(second);
});

test("a name is never looked up", () => {
  assert.throws(() => dial([{ address: at(1) }, { address: "localhost" }], { port: 25, connectSeconds: 1 }), /not an IP address/);
});

test("a local address that is not ours is blamed on this machine, a refusal is not", async () => {
  const free = await listen(at(3));
  const { port } = free;
  await closed(free);
  const dialled = await dial([{ address: at(3), localAddress: "192.0.2.1" }, { address: at(3) }], { port, connectSeconds: 30 });
  assert.ok(dialled.kind === "failed");
  assert.deepEqual(
    dialled.failures.map(({ blame }) => blame),
    ["here", undefined],
  );
});
