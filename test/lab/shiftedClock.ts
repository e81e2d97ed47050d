/**
 * Loaded before the relay (`--import`): its wall clock, and that alone, is ahead by TEST_CLOCK_AHEAD milliseconds. Another day, without
 * waiting for it.
 */
const ahead = Number(process.env.TEST_CLOCK_AHEAD ?? "0");
const real = Date.now.bind(Date);
Date.now = () => real() + ahead;
