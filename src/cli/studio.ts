import { once } from 'node:events';
import { DEFAULT_MODEL, defaultCacheFolder, UserError } from '../internal.js';
import { startStudio } from '../studio/server/serve.js';
import { openInBrowser } from './browser.js';
import { Interruption } from './interruption.js';
import { shared, wholeNumber } from './sharedFlags.js';
import { findModel } from './sourceModel.js';
import { Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  data: string;
  model: string | undefined;
  runs: string;
  host: string;
  port: number | undefined;
  open: boolean;
  cache: string | undefined;
  json: boolean;
}

const LARGEST_PORT = 65535;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .option('data', {
        type: 'string',
        default: 'photos',
        requiresArg: true,
        describe: 'folder of photos, one folder a class; made if need be',
      })
      .option('model', {
        type: 'string',
        requiresArg: true,
        describe: `${shared.model.describe} (default: what was chosen last, or ${DEFAULT_MODEL})`,
      })
      .option('runs', { type: 'string', default: 'runs', requiresArg: true, describe: 'folder of runs' })
      .option('host', {
        type: 'string',
        default: '127.0.0.1',
        requiresArg: true,
        describe: 'address to listen at; 0.0.0.0 lets other machines in, who still need the token',
      })
      .option('port', {
        type: 'number',
        requiresArg: true,
        describe: 'port to listen at (default: 7007, or the next that is free)',
      })
      .option('open', { type: 'boolean', default: true, describe: 'open the page in the browser' })
      .option('cache', shared.cache)
      .option('json', shared.json)
      .example('$0 studio', 'photos in ./photos, runs in ./runs')
      .example('$0 studio --data photos/ --model runs/first --port 7917 --no-open', ''),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const port = args.port === undefined ? undefined : wholeNumber('port', args.port, 0, LARGEST_PORT);
    const { data, runs, host, model, cache = defaultCacheFolder() } = args;
    const interruption = new Interruption((what) => {
      terminal.warn(what);
    }, 'stopping what runs, and saving');
    try {
      // A name that nothing has is refused here, and one that is to be loaded shows how far it is.
      if (model !== undefined) await findModel(terminal, model, { trains: true, signal: interruption.signal });
      const studio = await startStudio({
        ...{ data, runs, host, cache, usualModel: DEFAULT_MODEL },
        ...(model === undefined ? {} : { model }),
        ...(port === undefined ? {} : { port }),
      });
      try {
        terminal.result(`the studio is at ${studio.url}`);
        for (const url of studio.urlsForOthers)
          if (url !== studio.url) terminal.result(`from other machines at ${url}`);
        if (studio.isOpenToOthers)
          terminal.warn(
            `warning: other machines can reach it at ${host} (--host): whoever has this address with its token can see, change and delete the photos in ${data} and the runs in ${runs}, and it is not encrypted`,
          );
        terminal.print(
          studio.isOpenToOthers ? 'Ctrl-C ends it' : 'photos, runs and all else stay on this machine; Ctrl-C ends it',
        );
        terminal.json({ url: studio.url, port: studio.port, data, runs });
        if (args.open && !(await openInBrowser(studio.url))) terminal.print('open the address above in a browser');
        const { signal } = interruption;
        // It may have come while the studio was starting.
        if (!signal.aborted) await once(signal, 'abort');
      } finally {
        await studio.close();
      }
      process.exitCode = interruption.exitCode;
    } catch (thrown) {
      if (!(thrown instanceof UserError) || thrown.code !== 'stopped') throw thrown;
      process.exitCode = interruption.exitCode;
    } finally {
      interruption.close();
    }
  },
};
