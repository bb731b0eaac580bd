import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { inFull } from './formatting.js';
import { Questions } from './parts/questions.js';
import { ToastList } from './parts/toastList.js';
import { hashOf, route, VIEWS, type ViewName } from './routes.js';
import { activeJobs, connection, isLoaded, photoCount, places, runs } from './state.js';
import { texts } from './texts.js';
import { ThemeSwitch } from './themeSwitch.js';
import { DropArea } from './dropArea.js';
import { ExportView } from './views/exportView.js';
import { LiveStrip } from './views/liveStrip.js';
import { LookView } from './views/lookView.js';
import { PhotosView } from './views/photosView.js';
import { RunsView } from './views/runsView.js';
import { TrainView } from './views/trainView.js';
import { UploadList } from './views/uploadList.js';

const SHOWN: Readonly<Record<ViewName, () => JSX.Element>> = {
  photos: () => <PhotosView />,
  train: () => <TrainView />,
  look: () => <LookView />,
  runs: () => <RunsView />,
  export: () => <ExportView />,
};

/** The whole page: what stands above every view, and the one that the address names. */
export function App() {
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          // The address names a view, and is left as it is.
          event.preventDefault();
          document.getElementById('main')?.focus();
        }}
      >
        {texts.skip}
      </a>
      <Header />
      <Connection />
      {isLoaded.value ? <Main /> : <p class="empty">{texts.loading}</p>}
      <ToastList />
      <Questions />
      <DropArea />
    </>
  );
}

function Header() {
  const { view } = route.value;
  return (
    <header class="top">
      <h1>{texts.title}</h1>
      <nav aria-label={texts.views}>
        <ul>
          {VIEWS.map((each) => (
            <li key={each}>
              <a href={hashOf(each)} aria-current={each === view ? 'page' : undefined}>
                {texts.tabs[each]}
                <TabCount view={each} />
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <ThemeSwitch />
    </header>
  );
}

function TabCount({ view }: { readonly view: ViewName }) {
  const running = activeJobs.value.filter(({ kind }) =>
    view === 'export' ? kind === 'export' : kind !== 'export',
  ).length;
  const counts: Partial<Record<ViewName, number>> = {
    photos: photoCount.value,
    runs: runs.value?.length ?? 0,
    ...(running > 0 && (view === 'train' || view === 'export') && { [view]: running }),
  };
  const count = counts[view];
  if (count === undefined) return null;
  return (
    <span class="count">
      {' '}
      {inFull(count)}
      {(view === 'train' || view === 'export') && <span class="unseen"> {texts.job.states.running}</span>}
    </span>
  );
}

function Connection() {
  return <div role="alert">{connection.value === 'lost' && <p class="lost">{texts.errors.lost}</p>}</div>;
}

function Main() {
  const { view } = route.value;
  const heading = useRef<HTMLHeadingElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = texts.documentTitle(texts.tabs[view]);
    if (isFirst.current) isFirst.current = false;
    else heading.current?.focus({ preventScroll: true });
  }, [view]);
  const { data, runs: folder, version } = places.value;
  return (
    <main id="main" tabIndex={-1}>
      <LiveStrip />
      <UploadList />
      <h2 ref={heading} tabIndex={-1}>
        {texts.headings[view]}
      </h2>
      <div key={view}>{SHOWN[view]()}</div>
      <footer class="note">{texts.footer(data, folder, version)}</footer>
    </main>
  );
}
