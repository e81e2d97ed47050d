import { type OwnCase, signedTree } from "../ownCase.ts";

const zones = (iterations: number) => signedTree(["www.example.test A 192.0.2.1"], { denial: "nsec3", nsec3: { iterations } });

/** NSEC3 iterations: validated up to 100, insecure above, refused above 500. What needs no denial is secure with any number. */
export const ITERATIONS: readonly OwnCase[] = [
  {
    title: "100 are validated",
    zones: zones(100),
    ask: ["no.example.test", "A"],
    expect: { status: "secure", answer: "nxdomain" },
  },
  {
    title: "101 make a denial insecure",
    zones: zones(101),
    ask: ["no.example.test", "A"],
    expect: { status: "insecure", answer: "nxdomain", reason: "nsec3-iterations" },
  },
  { title: "501 make a denial bogus", zones: zones(501), ask: ["no.example.test", "A"], expect: { status: "bogus" } },
  {
    title: "a record is secure whatever their number",
    zones: zones(501),
    ask: ["www.example.test", "A"],
    expect: { status: "secure", answer: "records" },
  },
];
