import assert from "node:assert/strict";
import { test } from "node:test";
import { heldContent } from "../../../src/delivery/heldContent.ts";
import type { Work } from "../../../src/spool/message.ts";

const work: Work = {
  envelope: {
    id: "M1",
    sender: "",
    acceptedAt: 0,
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    tlsRequiredNo: false,
    size: 2,
  },
  destination: "a.example",
  recipients: [{ address: "x@a.example", destination: "a.example", index: 0, attempts: 0, delayWarned: false }],
};

async function* pieces(seen: string[]): AsyncGenerator<Buffer> {
  for (const piece of ["a", "b"]) {
    seen.push(piece);
    yield Buffer.from(piece);
  }
}

for (const holds of ["held", "lost", undefined] as const) {
  test(`the content of a work whose claim is ${holds ?? "of this process alone"}`, async () => {
    const seen: string[] = [];
    const asked = (of: Work): Promise<"held" | "lost"> => {
      assert.equal(of, work);
      seen.push("asked");
      return Promise.resolve(holds ?? "lost");
    };
    const got: string[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of heldContent(work, pieces(seen), holds === undefined ? {} : { holds: asked }))
        got.push(String(piece));
    };
    if (holds === "lost") await assert.rejects(read(), /M1 was not sent to its end/);
    else await read();
    assert.deepEqual(got, ["a", "b"]);
    // After the last piece, so that nothing of the message is between the answer and the end.
    assert.deepEqual(seen, holds === undefined ? ["a", "b"] : ["a", "b", "asked"]);
  });
}
