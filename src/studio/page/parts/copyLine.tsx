import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { texts } from '../texts.js';
import { complain } from '../toasts.js';

const SAID_MS = 2000;

interface CopyProps {
  readonly text: string;
  /** What it is. */
  readonly label: string;
}

/** A line or a program to copy. */
export function CopyLine({ text, label }: CopyProps) {
  const isCopied = useSignal(false);
  const pre = useRef<HTMLPreElement>(null);
  useEffect(() => {
    isCopied.value = false;
  }, [text]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      isCopied.value = true;
      setTimeout(() => (isCopied.value = false), SAID_MS);
    } catch {
      // Over plain http from another machine there is no clipboard: then it is selected, to be copied by hand.
      if (pre.current) getSelection()?.selectAllChildren(pre.current);
      complain(texts.copyByHand);
    }
  };
  return (
    <div class="copy">
      <pre ref={pre} tabIndex={0} role="region" aria-label={label}>
        <code>{text}</code>
      </pre>
      <button
        type="button"
        aria-label={isCopied.value ? texts.copied : texts.copyWhat(label)}
        onClick={() => void copy()}
      >
        {isCopied.value ? texts.copied : texts.copy}
      </button>
    </div>
  );
}
