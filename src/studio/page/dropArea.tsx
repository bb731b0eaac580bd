import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { addDrop } from './adding.js';
import { triedFile } from './lookStore.js';
import { goTo, route } from './routes.js';
import { texts } from './texts.js';

const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes('Files') ?? false;

/** Takes what is dropped anywhere: photos to try where one looks at a model, else photos to add. */
export function DropArea() {
  const isOver = useSignal(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      isOver.value = true;
    };
    const leave = (event: DragEvent) => {
      if (!event.relatedTarget) isOver.value = false;
    };
    const drop = (event: DragEvent) => {
      isOver.value = false;
      const { dataTransfer } = event;
      if (!dataTransfer || !hasFiles(event)) return;
      event.preventDefault();
      if (route.peek().view === 'look') {
        triedFile.value = dataTransfer.files[0];
        return;
      }
      addDrop(dataTransfer);
      if (route.peek().view !== 'photos') goTo('photos');
    };
    const watched = new AbortController();
    const { signal } = watched;
    addEventListener('dragover', over, { signal });
    addEventListener('dragleave', leave, { signal });
    addEventListener('drop', drop, { signal });
    return () => watched.abort();
  }, []);
  if (!isOver.value) return null;
  return (
    <div class="drop" aria-hidden="true">
      <p>{route.value.view === 'look' ? texts.drop.look : texts.drop.photos}</p>
    </div>
  );
}
