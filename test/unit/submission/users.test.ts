import assert from "node:assert/strict";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { addUserTo, deleteUserFrom, usersIn } from "../../../src/relay/users.ts";
import { AuthenticationThrottle, networkOf } from "../../../src/submission/authenticationThrottle.ts";
import { parsePasswordRecord, passwordMatches, passwordRecordText } from "../../../src/submission/passwordRecord.ts";
import { saslPrepared } from "../../../src/submission/saslName.ts";
import { maySendAs, parseUsers, readUsersFile, userLine } from "../../../src/submission/usersFile.ts";
import { makeUser, openUsers, writeUsers } from "../../fake/submissionUsers.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-users-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const SALT = "c2FsdHNhbHRzYWx0";
const HASH = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const RECORD = `$scrypt$ln=15,r=8,p=3$${SALT}$${HASH}`;

test("a record is read as it was written, and tells the password from another", async () => {
  const { record } = await makeUser("u", "password");
  const read = parsePasswordRecord(passwordRecordText(record));
  assert.deepEqual(read, record);
  assert.equal(await passwordMatches("password", record), true);
  assert.equal(await passwordMatches("Password", record), false);
});

test("RFC 7914 §12: the third test vector, by its parameters", async () => {
  const hash = Buffer.from(
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
    "hex",
  );
  const text = `$scrypt$ln=14,r=8,p=1$${Buffer.from("SodiumChloride").toString("base64").replace(/=/g, "")}$${hash.toString("base64").replace(/=/g, "")}`;
  const record = parsePasswordRecord(text);
  assert.ok(record !== undefined);
  assert.equal(await passwordMatches("pleaseletmein", record), true);
});

for (const [what, line] of [
  ["another version", `2 u ${RECORD}`],
  ["no record", "1 u"],
  ["a password in clear text", "1 u password"],
  ["too little work", `1 u ${RECORD.replace("ln=15", "ln=9")}`],
  ["too much memory", `1 u ${RECORD.replace("ln=15", "ln=20")}`],
  ["no r", `1 u ${RECORD.replace("r=8", "r=0")}`],
  ["a short salt", `1 u ${RECORD.replace(SALT, "YWJj")}`],
  ["a short hash", `1 u ${RECORD.replace(HASH, "YWJj")}`],
  ["two blanks", `1  u ${RECORD}`],
  ["something behind the senders", `1 u ${RECORD} senders=a@b.example x`],
  ["an unknown field", `1 u ${RECORD} sender=a@b.example`],
  ["a sender that is none", `1 u ${RECORD} senders=a@b.example,b`],
  ["no senders at all", `1 u ${RECORD} senders=`],
  ["a user twice", `1 v ${RECORD}\n1 v ${RECORD}`],
  ["a name that SASLprep would change", `1 \u2168 ${RECORD}`],
] as const) {
  test(`a users file with ${what} is unusable, and what is said of it has no secret`, () => {
    const parsed = parseUsers(`# users\n\n1 a ${RECORD}\n${line}\n`);
    assert.equal(parsed.kind, "unusable");
    assert.match(parsed.kind === "unusable" ? parsed.reason : "", /^line [45] /);
    assert.doesNotMatch(JSON.stringify(parsed), new RegExp(`${SALT}|${HASH}|password`));
  });
}

test("comments and empty lines say nothing; senders are compared in one form", () => {
  const parsed = parseUsers(`# a\r\n\r\n1 a ${RECORD} senders=A@B.example,@C.example,<>\r\n`);
  assert.ok(parsed.kind === "users");
  assert.deepEqual(parsed.users.get("a")?.senders, ["a@b.example", "@c.example", "<>"]);
  const [user] = parsed.users.values();
  assert.ok(user !== undefined);
  assert.equal(userLine(user), `1 a ${RECORD} senders=a@b.example,@c.example,<>`);
});

test("a sender that differs by case may be used, one of another letter may not, whatever its lower case is", () => {
  const user = { senders: ["kai@news.example", "@shop.example"] };
  for (const [sender, may] of [
    ["kai@news.example", true],
    ["KAI@NEWS.example", true],
    ['"kai"@news.example', true],
    ["\u212aai@news.example", false],
    ["kai+x@news.example", false],
    ['"kai@news.example"@evil.example', false],
    ['"x@shop.example"@evil.example', false],
    ["x@shop.example", true],
    ["x@sub.shop.example", false],
    ["x@shop.example.", false],
    ["@shop.example:x@evil.example", false],
    ["", false],
  ] as const)
    assert.equal(maySendAs(user, sender), may, sender);
});

test("SASLprep: what changes, and what is refused", () => {
  for (const [text, prepared] of [
    ["a", "a"],
    ["I\u00adX", "IX"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
    ["a\u00a0b", "a b"],
    ["", undefined],
    ["\u00ad", undefined],
    ["a\u0007", undefined],
    ["\ue000", undefined],
    ["\u202ea", undefined],
    ["\ufffd", undefined],
    ["x".repeat(1025), undefined],
  ] as const) {
    assert.equal(saslPrepared(text), prepared, JSON.stringify(text));
  }
});

test("a file that others may read or write is unusable", async () => {
  const file = join(FOLDER, "modes");
  writeUsers(file, [await makeUser("u", "password")]);
  for (const [mode, kind] of [
    [0o600, "users"],
    [0o640, "users"],
    [0o440, "users"],
    [0o644, "unusable"],
    [0o660, "unusable"],
    [0o602, "unusable"],
  ] as const) {
    chmodSync(file, mode);
    assert.equal((await readUsersFile(file)).kind, kind, mode.toString(8));
  }
});

test("add, replace, delete: one line each, the others as they were, mode kept, senders kept; several at a time lose nothing", async () => {
  const file = join(FOLDER, "edited");
  const user = (name: string, more: object = {}) => ({
    name,
    password: "long enough",
    senders: undefined,
    ifKnown: "refuse" as const,
    ...more,
  });
  assert.deepEqual(await addUserTo(file, user("first", { senders: ["a@b.example"] })), { kind: "edited" });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, `# kept\n${readFileSync(file, "utf8")}`);
  chmodSync(file, 0o640);
  const names = Array.from({ length: 6 }, (_, i) => `user${i}`);
  for (const result of await Promise.all(names.map((name) => addUserTo(file, user(name)))))
    assert.deepEqual(result, { kind: "edited" });
  const again = await addUserTo(file, user("first"));
  assert.match(again.kind === "refused" ? again.reason : "", /already/);
  const before = readFileSync(file, "utf8");
  assert.deepEqual(await addUserTo(file, user("first", { ifKnown: "replace" })), { kind: "edited" });
  assert.notEqual(readFileSync(file, "utf8"), before);
  assert.deepEqual(await deleteUserFrom(file, "user3"), { kind: "edited" });
  const gone = await deleteUserFrom(file, "user3");
  assert.match(gone.kind === "refused" ? gone.reason : "", /no user/);
  const listed = await usersIn(file);
  assert.deepEqual(
    listed.kind === "users" ? listed.users.map(({ name, senders }) => [name, senders]).toSorted() : listed.reason,
    [["first", ["a@b.example"]], ...names.filter((name) => name !== "user3").map((name) => [name, undefined])],
  );
  assert.equal(statSync(file).mode & 0o777, 0o640);
  assert.match(readFileSync(file, "utf8"), /^# kept\n/);
});

for (const [what, change, reason] of [
  ["a short password", { password: "short" }, /fewer than 8/],
  ["a name with a blank", { name: "a b" }, /no user name/],
  ["a name that would be a comment", { name: "#a" }, /no user name/],
  ["a sender that is none", { senders: ["nobody"] }, /no sender/],
] as const) {
  test(`add refuses ${what}, and makes no file`, async () => {
    const file = join(FOLDER, "absent");
    const edit = await addUserTo(file, { name: "u", password: "long enough", senders: undefined, ifKnown: "refuse", ...change });
    assert.match(edit.kind === "refused" ? edit.reason : "", reason);
    assert.throws(() => statSync(file), /ENOENT/);
  });
}

test("an edit makes nothing through a link, its lock is its owner's alone, and nothing is left behind", async () => {
  const folder = mkdtempSync(join(FOLDER, "links-"));
  const file = join(folder, "users");
  const elsewhere = join(folder, "elsewhere");
  symlinkSync(elsewhere, `${file}.lock`);
  const user = { name: "a", password: "password", senders: undefined, ifKnown: "refuse" } as const;
  const refused = await addUserTo(file, user);
  assert.match(refused.kind === "refused" ? refused.reason : "", /users\.lock is not a regular file/);
  assert.deepEqual(readdirSync(folder), ["users.lock"]);
  unlinkSync(`${file}.lock`);
  symlinkSync(elsewhere, `${file}.${process.pid}.new`);
  assert.deepEqual(await addUserTo(file, user), { kind: "edited" });
  assert.deepEqual(readdirSync(folder).sort(), ["users", "users.lock"]);
  assert.equal(statSync(`${file}.lock`).mode & 0o777, 0o600);
});

test("a broken users file is not edited away", async () => {
  const file = join(FOLDER, "broken");
  writeFileSync(file, "1 u nonsense\n");
  const edit = await addUserTo(file, { name: "v", password: "long enough", senders: undefined, ifKnown: "refuse" });
  assert.match(edit.kind === "refused" ? edit.reason : "", /line 1/);
  assert.equal(readFileSync(file, "utf8"), "1 u nonsense\n");
});

test("the throttle: free failures, then waits that double up to a ceiling, forgotten after an hour; IPv6 by /64", () => {
  const throttle = new AuthenticationThrottle();
  const attempt = { address: "192.0.2.1", user: "u" };
  let now = 0;
  const waits: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    waits.push(throttle.waitSeconds(attempt, now));
    throttle.failed(attempt, now);
    now += 1;
  }
  assert.deepEqual(
    waits.map((seconds) => Math.ceil(seconds)),
    [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900],
  );
  // Of the user the ceiling is a minute, from an address that has done nothing.
  assert.equal(Math.ceil(throttle.waitSeconds({ address: "192.0.2.2", user: "u" }, now)), 60);
  assert.equal(throttle.waitSeconds({ address: "192.0.2.2", user: "v" }, now), 0);
  now += 3_600_001;
  assert.equal(throttle.waitSeconds(attempt, now), 0);
  throttle.failed(attempt, now);
  assert.equal(throttle.waitSeconds(attempt, now), 0);
  assert.equal(networkOf("2001:db8:1:2:3::4"), networkOf("2001:db8:1:2::"));
  assert.notEqual(networkOf("2001:db8:1:2::"), networkOf("2001:db8:1:3::"));
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
});

test("nobody locks out a user at an address that the user has logged in from", () => {
  const throttle = new AuthenticationThrottle();
  throttle.succeeded({ address: "192.0.2.9", user: "u" });
  for (let i = 0; i < 30; i += 1) throttle.failed({ address: `198.51.100.${i}`, user: "u" }, 0);
  assert.ok(throttle.waitSeconds({ address: "192.0.2.10", user: "u" }, 0) > 0);
  assert.equal(throttle.waitSeconds({ address: "192.0.2.9", user: "u" }, 0), 0);
});

test("many at a time: all that are right get in, and of what waits too long in line nobody is told a lie", async () => {
  using users = await openUsers(join(FOLDER, "many"), [await makeUser("u", "password")]);
  const right = { user: "u", password: "password" };
  const results = await Promise.all(
    Array.from({ length: 300 }, (_, i) => users.authenticator.authenticate(right, `192.0.2.${i % 200}`)),
  );
  const codes = new Set(results.map((result) => (result.kind === "authenticated" ? 235 : result.rejection.code)));
  assert.deepEqual([...codes].toSorted(), [235, 454]);
  assert.equal(results.filter(({ kind }) => kind === "authenticated").length, 202);
  assert.equal((await users.authenticator.authenticate(right, "192.0.2.1")).kind, "authenticated");
});
