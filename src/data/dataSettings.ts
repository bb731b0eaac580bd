import { tasks } from '../artifacts/task.js';
import { choice, number, setting, settings, wholeNumber } from '../settings.js';

/** Which photos a run trains and validates with. */
export const dataSettings = settings({
  task: setting(choice(['auto', ...tasks]).default('auto'), {
    help: 'what is told of a photo: one of the classes, or any number of labels; auto: what the photos come with says it',
  }),
  valFraction: setting(number('a share between 0 and 1', (value) => value > 0 && value < 1).default(0.2), {
    code: 'bad-val-fraction',
    help: 'share of each class that validates where no photos are named to validate or to test with',
  }),
  limit: setting(wholeNumber(1).optional(), {
    help: 'the most photos of each class to train with, taken evenly from all of them',
  }),
  valLimit: setting(wholeNumber(1).optional(), { help: 'the most photos of each class to validate with' }),
  maxBad: setting(number('a share from 0 to 1', (value) => value >= 0 && value <= 1).default(0.05), {
    help: 'share of unreadable photos that stops the run',
  }),
});
