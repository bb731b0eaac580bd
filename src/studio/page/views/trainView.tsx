import type { Job } from '../../api.js';
import { activeJobs, isActive, jobs } from '../state.js';
import { texts } from '../texts.js';
import { JobCard } from './jobCard.js';
import { RecommendPanel } from './recommendPanel.js';
import { StoppedRuns } from './stoppedRuns.js';
import { TrainForm } from './trainForm.js';

const isTraining = ({ kind }: Job) => kind === 'train' || kind === 'resume';
/** So many that have ended are shown. */
const MOST_ENDED = 5;

/** Chooses what trains, and shows how it goes. */
export function TrainView() {
  const words = texts.train;
  const ended = jobs.value.filter((job) => isTraining(job) && !isActive(job)).slice(0, MOST_ENDED);
  const active = activeJobs.value.filter(isTraining);
  return (
    <>
      {active.length > 0 && (
        <section aria-label={words.running}>
          <h3>{words.running}</h3>
          {active.map((job) => (
            <JobCard key={job.id} job={job} />
          ))}
        </section>
      )}
      <StoppedRuns />
      <div class="two">
        <TrainForm />
        <RecommendPanel />
      </div>
      {ended.length > 0 && (
        <section aria-label={words.ended}>
          <h3>{words.ended}</h3>
          {ended.map((job) => (
            <JobCard key={job.id} job={job} />
          ))}
        </section>
      )}
    </>
  );
}
