import { signal } from '@preact/signals';

/** What is asked, one at a time. */
export type Question =
  | {
      readonly kind: 'confirm';
      readonly title: string;
      readonly text: string;
      readonly action: string;
    }
  | {
      readonly kind: 'text';
      readonly title: string;
      readonly label: string;
      readonly value: string;
      readonly action: string;
    }
  | { readonly kind: 'class'; readonly title: string; readonly except?: string; readonly canBeNew: boolean };

export interface OpenQuestion {
  readonly id: number;
  readonly question: Question;
  /** Ends it: the text, or the class; undefined where it was left. */
  readonly answer: (text: string | undefined) => void;
}

export const openQuestion = signal<OpenQuestion | undefined>(undefined);

let asked = 0;

function ask(question: Question): Promise<string | undefined> {
  openQuestion.value?.answer(undefined);
  return new Promise((resolve) => {
    const answer = (text: string | undefined) => {
      if (openQuestion.value?.answer === answer) openQuestion.value = undefined;
      resolve(text);
    };
    openQuestion.value = { id: ++asked, question, answer };
  });
}

type Asked<Kind extends Question['kind']> = Omit<Extract<Question, { kind: Kind }>, 'kind'>;

/** Whether somebody agreed. */
export const askWhether = async (question: Asked<'confirm'>): Promise<boolean> =>
  (await ask({ kind: 'confirm', ...question })) !== undefined;

/** A text without spaces around it, or nothing. */
export const askText = (question: Asked<'text'>): Promise<string | undefined> => ask({ kind: 'text', ...question });

/** A class, which is new only where that may be. */
export const askClass = (question: Asked<'class'>): Promise<string | undefined> => ask({ kind: 'class', ...question });
