import { systemClock } from '../../workload-identity/index.ts';
import { channelContract } from '../../workload-identity/testing/channel-contract.ts';
import { chooseTransport } from '../transport/choose.ts';
import { TimerWheel } from '../transport/timers.ts';
import { http2Connect } from './http2-session.ts';

const chosen = await chooseTransport();
await chosen.tryTls();
const { wrap } = chosen;
const timers = new TimerWheel();
timers.start();

channelContract({
  connect: http2Connect(wrap, timers),
  timed: () => {
    let now = 0;
    const manual = new TimerWheel(() => now);
    return {
      connect: http2Connect(wrap, manual),
      clock: systemClock,
      pass: () => {
        // Silence is noticed, asked about, and given up.
        for (let i = 0; i < 4; i++) {
          now += 10_000;
          manual.tick();
        }
      },
    };
  },
});
