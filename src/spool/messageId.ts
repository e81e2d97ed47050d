import type { Clock, Random } from "../clock.ts";
import type { MessageId } from "./message.ts";

/**
 * Queue ids: 9 characters of milliseconds since the epoch, 3 that count within the millisecond, 6 of chance, all in base 36 with a fixed
 * width, so that ids sort by time of acceptance. The 31 bits of chance keep ids of several processes apart that count alike.
 */
const BASE = 36;
const TIME_DIGITS = 9;
const COUNT_DIGITS = 3;
const CHANCE_DIGITS = 6;
const COUNT_LIMIT = BASE ** COUNT_DIGITS;
const CHANCE_LIMIT = BASE ** CHANCE_DIGITS;

function digits(value: number, width: number): string {
  return value.toString(BASE).toUpperCase().padStart(width, "0");
}

/** Makes ids that never go back and never repeat within this process, whatever the clock does. */
export function messageIds(clock: Clock, random: Random): () => MessageId {
  let lastTime = 0;
  let count = 0;
  return () => {
    const now = clock.now();
    if (now > lastTime) {
      lastTime = now;
      count = 0;
    } else {
      count += 1;
      // The clock stands still or was set back: borrow the next millisecond rather than repeat a count.
      if (count === COUNT_LIMIT) {
        lastTime += 1;
        count = 0;
      }
    }
    return (
      digits(Math.floor(lastTime), TIME_DIGITS) + digits(count, COUNT_DIGITS) + digits(random.below(CHANCE_LIMIT), CHANCE_DIGITS)
    );
  };
}
