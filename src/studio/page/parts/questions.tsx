import { useSignal } from '@preact/signals';
import { openQuestion, type OpenQuestion, type Question } from '../dialogs.js';
import { classNames } from '../state.js';
import { texts } from '../texts.js';
import { Dialog } from './dialog.js';

/** Whatever is asked at the moment. */
export function Questions() {
  const open = openQuestion.value;
  if (!open) return null;
  const { id, question, answer } = open;
  return (
    <Dialog key={id} title={question.title} onClose={() => answer(undefined)}>
      {question.kind === 'confirm' && <Confirm question={question} answer={answer} />}
      {question.kind === 'text' && <TextField question={question} answer={answer} />}
      {question.kind === 'class' && <ClassField question={question} answer={answer} />}
    </Dialog>
  );
}

interface Asked<Kind extends Question['kind']> {
  readonly question: Extract<Question, { kind: Kind }>;
  readonly answer: OpenQuestion['answer'];
}

function Confirm({ question, answer }: Asked<'confirm'>) {
  return (
    <>
      <p>{question.text}</p>
      <div class="actions">
        <button type="button" data-first onClick={() => answer(undefined)}>
          {texts.cancel}
        </button>
        <button type="button" class="main" onClick={() => answer('')}>
          {question.action}
        </button>
      </div>
    </>
  );
}

function TextField({ question, answer }: Asked<'text'>) {
  const text = useSignal(question.value);
  const trimmed = text.value.trim();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (trimmed !== '') answer(trimmed);
      }}
    >
      <label class="field">
        {question.label}
        <input
          type="text"
          data-first
          autocomplete="off"
          value={text}
          onFocus={({ currentTarget }) => currentTarget.select()}
          onInput={({ currentTarget }) => (text.value = currentTarget.value)}
        />
      </label>
      <div class="actions">
        <button type="button" onClick={() => answer(undefined)}>
          {texts.cancel}
        </button>
        <button type="submit" class="main" disabled={trimmed === ''}>
          {question.action}
        </button>
      </div>
    </form>
  );
}

/** More are found by a part of their names. */
const MOST_SHOWN = 60;

function ClassField({ question, answer }: Asked<'class'>) {
  const text = useSignal('');
  const wanted = text.value.trim();
  const words = texts.classChoice;
  const others = classNames.value.filter((name) => name !== question.except);
  const found = others.filter((name) => name.toLowerCase().includes(wanted.toLowerCase()));
  const isNew = question.canBeNew && wanted !== '' && !classNames.value.includes(wanted);
  const first = found.find((name) => name === wanted) ?? (isNew ? wanted : found[0]);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (wanted !== '' && first !== undefined) answer(first);
      }}
    >
      <label class="field">
        {question.canBeNew ? words.findOrMake : words.find}
        <input
          type="text"
          data-first
          autocomplete="off"
          value={text}
          onInput={({ currentTarget }) => (text.value = currentTarget.value)}
        />
      </label>
      <ul class="choices" aria-label={words.list}>
        {found.slice(0, MOST_SHOWN).map((name) => (
          <li key={name}>
            <button type="button" onClick={() => answer(name)}>
              <bdi>{name}</bdi>
            </button>
          </li>
        ))}
        {isNew && (
          <li key="">
            <button type="button" onClick={() => answer(wanted)}>
              {words.make(wanted)}
            </button>
          </li>
        )}
      </ul>
      {found.length > MOST_SHOWN && <p class="note">{words.more(found.length - MOST_SHOWN)}</p>}
      {found.length === 0 && !isNew && <p class="note">{words.none}</p>}
    </form>
  );
}
