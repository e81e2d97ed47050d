import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";

/** Chromium in front of the operator's page: what it complains of is collected, and what does not fit its window fails. */
export type Viewer = {
  page: Page;
  /** Looks at the page as it is at each width; `SCREENSHOTS` names a directory to keep the pictures in. */
  look: (name: string) => Promise<void>;
  /** The page as a PDF on A4, beside the pictures, and as a picture of that width; for the medium `print`. */
  print: (name: string) => Promise<void>;
  /** Presses Tab until what has the focus contains `text`; fails when it never does. */
  tabTo: (text: string) => Promise<void>;
  /** Errors of scripts, of loading and of the content security policy. */
  complaints: readonly string[];
  close: () => Promise<void>;
};

const WIDTHS = [1280, 800, 390] as const;
/** The width between is only measured. */
const PICTURED: readonly number[] = [1280, 390];
const HEIGHT = 800;
const MAX_TABS = 80;
/** 180 mm at 96 pixels an inch. */
const PAPER_PIXELS = 680;
const PAPER_MARGIN = { top: "15mm", bottom: "15mm", left: "15mm", right: "15mm" };
const PATIENCE_MILLISECONDS = 60_000;
/** Chromium says so of every answer that is no success; the status is what the test is about. */
const STATUS_NOTE = /^Failed to load resource: the server responded with a status of (?:401|403|404)/;

export async function openViewer(colorScheme: "light" | "dark" = "light"): Promise<Viewer> {
  const kept = process.env.SCREENSHOTS;
  const directory = kept ?? (await mkdtemp(join(tmpdir(), "dane-relay-screenshots-")));
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox"],
    timeout: PATIENCE_MILLISECONDS,
  });
  const context = await browser.newContext({ colorScheme, viewport: { width: WIDTHS[0], height: HEIGHT } });
  context.setDefaultTimeout(PATIENCE_MILLISECONDS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !STATUS_NOTE.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (request) => {
    const error = request.failure()?.errorText ?? "";
    // Whoever goes on to the next page does not wait for this one.
    if (error !== "net::ERR_ABORTED") complaints.push(`${request.url()}: ${error}`);
  });
  const look = async (name: string): Promise<void> => {
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: HEIGHT });
      const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
      if (PICTURED.includes(width)) await page.screenshot({ path: join(directory, `${name}-${width}.png`), fullPage: true });
      assert.equal(overflow, 0, `${name} is ${overflow} pixels too wide for ${width}`);
    }
    await page.setViewportSize({ width: WIDTHS[0], height: HEIGHT });
  };
  const print = async (name: string): Promise<void> => {
    await page.pdf({ path: join(directory, `${name}.pdf`), format: "A4", printBackground: false, margin: PAPER_MARGIN });
    await page.setViewportSize({ width: PAPER_PIXELS, height: HEIGHT });
    const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
    assert.equal(overflow, 0, `${name} is ${overflow} pixels too wide for the paper`);
    await page.setViewportSize({ width: WIDTHS[0], height: HEIGHT });
  };
  const tabTo = async (text: string): Promise<void> => {
    const passed: string[] = [];
    for (let tabs = 0; tabs < MAX_TABS; tabs += 1) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate<string>(
        "[document.activeElement.textContent, document.activeElement.name, document.activeElement.ariaLabel].join(' ')",
      );
      if (focused.includes(text)) return;
      passed.push(focused.trim());
    }
    assert.fail(`no way by Tab to ${text}: ${passed.join(" | ")}`);
  };
  const close = async (): Promise<void> => {
    await browser.close();
    if (kept === undefined) await rm(directory, { recursive: true, force: true });
  };
  return { page, look, print, tabTo, complaints, close };
}
