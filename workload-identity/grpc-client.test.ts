import { ManualClock } from './testing/manual-clock.ts';
import { channelContract } from './testing/channel-contract.ts';
import { connectNodeHttp2 } from './node-http2.ts';

channelContract({
  connect: connectNodeHttp2,
  timed: () => {
    const clock = new ManualClock(Date.now());
    return {
      connect: connectNodeHttp2,
      clock,
      pass: () => {
        clock.advance(30_000);
        clock.advance(10_000);
      },
    };
  },
});
