/**
 * The contract of the Kubernetes API as this project relies on it, asked of an embedded cluster or, with `$TEST_KUBECONFIG`, of a real API server.
 * Every answer is also compared with the recorded one of a real server (`answers/`); `CONTRACT_RECORD=1` records them anew.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { serverKind } from '../testing/api-server.ts';
import { suiteCleaner } from '../testing/cleaner.ts';
import { skipped } from './exceptions.ts';
import { loadRecording, RECORDED_VERSION, type Recording, saveRecording } from './recordings.ts';
import { Scenario, type Theme } from './scenario.ts';
import { type ContractServer, openServer } from './server.ts';
import { themes } from './themes/index.ts';

const recording = process.env['CONTRACT_RECORD'] === '1';
/** Requests of one scenario follow each other; several scenarios keep the server busy. */
const CONCURRENT_SCENARIOS = 4;

describe(`the API contract (${serverKind})`, () => {
  let server: ContractServer;
  const cleaner = suiteCleaner();
  before(async () => {
    server = await openServer(cleaner);
  });
  for (const theme of themes) describeTheme(theme, () => server);
});

function describeTheme(theme: Theme, server: () => ContractServer): void {
  describe(theme.name, { concurrency: theme.exclusive === true ? 1 : CONCURRENT_SCENARIOS }, () => {
    const recorded = loadRecording(theme.name);
    const made: Recording = {};
    for (const [title, play] of Object.entries(theme.scenarios)) {
      const reason = skipped(theme.name, title);
      it(title, { skip: reason ?? false }, async (context) => {
        const scenario = new Scenario(server());
        try {
          await scenario.begin();
          await play(scenario);
        } finally {
          await scenario.end();
        }
        if (recording) made[title] = scenario.exchanges;
        else if (server().version === RECORDED_VERSION)
          assert.deepEqual(JSON.parse(JSON.stringify(scenario.exchanges)), recorded[title]);
        else
          context.diagnostic(
            `not compared: the answers are of ${RECORDED_VERSION}, the server is ${server().version}`,
          );
      });
    }
    after(() => {
      if (recording) saveRecording(theme.name, { ...recorded, ...made });
    });
  });
}
