import { useEffect, useRef } from 'preact/hooks';
import { addFiles } from '../adding.js';
import { filesOfInput } from '../droppedFiles.js';
import { binClass, mergeClass, renameClass } from '../photoWork.js';
import { classes } from '../state.js';
import { texts } from '../texts.js';

interface ToolsProps {
  readonly name: string;
  readonly isCameraOpen: boolean;
  readonly onCamera: () => void;
}

/** The chosen class by its name, with what can be done with it. */
export function ClassTools({ name, isCameraOpen, onCamera }: ToolsProps) {
  const words = texts.photos;
  const chosen = classes.value.find((each) => each.name === name);
  const { photos = 0, validate = 0, test = 0 } = chosen ?? {};
  const others = classes.value.length > 1;
  return (
    <header class="class-tools">
      <h3>
        <bdi>{name}</bdi>
      </h3>
      <p class="note">{words.split(photos, validate, test)}</p>
      <div class="row">
        <FileButton label={words.addFiles} name={name} />
        <FileButton label={words.addFolder} name={name} isFolder />
        <button type="button" aria-expanded={isCameraOpen} onClick={onCamera}>
          {words.camera}
        </button>
        <span class="gap" />
        <button type="button" class="quiet" onClick={() => void renameClass(name)}>
          {words.rename}
        </button>
        {others && (
          <button type="button" class="quiet" onClick={() => void mergeClass(name)}>
            {words.mergeInto}
          </button>
        )}
        <button type="button" class="quiet" onClick={() => void binClass(name, photos)}>
          {words.deleteClass}
        </button>
      </div>
    </header>
  );
}

interface FileProps {
  readonly label: string;
  readonly name: string;
  readonly isFolder?: boolean;
}

/** Opens the browser's choice of files. */
function FileButton({ label, name, isFolder = false }: FileProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (input.current) input.current.webkitdirectory = isFolder;
  }, [isFolder]);
  return (
    <>
      <button type="button" class={isFolder ? undefined : 'main'} onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={label}
        accept={isFolder ? undefined : 'image/*,.heic,.heif,.zip,.tm'}
        onChange={({ currentTarget }) => {
          if (currentTarget.files) addFiles(filesOfInput(currentTarget.files), name, true);
          currentTarget.value = '';
        }}
      />
    </>
  );
}
