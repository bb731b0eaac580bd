import { useSignal } from '@preact/signals';
import type { ExportForm } from '../../api.js';
import { CopyLine } from '../parts/copyLine.js';
import { texts } from '../texts.js';
import { PROGRAMS } from './programs.js';

/** The lines of code that use an export. */
export function UseLines({ form }: { readonly form: ExportForm }) {
  const words = texts.use;
  return (
    <section class="card" aria-labelledby="use">
      <h3 id="use">{words.title(texts.export.names[form])}</h3>
      {form === 'web' && <Lines note={words.web} text={words.webLine} />}
      {form === 'transformers-js' && <Lines note={words.transformers} text={words.transformersLines} />}
      {form === 'delta' && <Lines note={words.delta} text={words.deltaLine} />}
      {(form === 'fp32' || form === 'fp16' || form === 'int8') && <Programs />}
    </section>
  );
}

function Lines({ note, text }: { readonly note: string; readonly text: string }) {
  return (
    <>
      <p class="note">{note}</p>
      <CopyLine text={text} label={texts.use.lines} />
    </>
  );
}

function Programs() {
  const words = texts.use;
  const chosen = useSignal(PROGRAMS[0]?.name ?? '');
  const program = PROGRAMS.find(({ name }) => name === chosen.value);
  return (
    <>
      <p class="note">{words.programs}</p>
      <div class="row" role="group" aria-label={words.language}>
        {PROGRAMS.map(({ name }) => (
          <button type="button" key={name} aria-pressed={name === chosen.value} onClick={() => (chosen.value = name)}>
            {name}
          </button>
        ))}
      </div>
      {program && (
        <>
          {program.install !== '' && <CopyLine text={program.install} label={words.install} />}
          <CopyLine text={program.code} label={program.name} />
        </>
      )}
    </>
  );
}
