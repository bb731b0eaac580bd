import { effect, signal } from '@preact/signals';
import { texts } from './texts.js';

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'ort-tl-studio-theme';

/** What was chosen before; where the browser keeps nothing, as the system has it. */
function stored(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'auto';
  } catch {
    return 'auto';
  }
}

const theme = signal<Theme>(stored());
effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // Then it holds until the page is left.
  }
});

export function ThemeSwitch() {
  return (
    <label class="theme">
      <span class="unseen">{texts.theme.label}</span>
      <select
        value={theme}
        onChange={({ currentTarget }) => {
          theme.value = THEMES.find((each) => each === currentTarget.value) ?? 'auto';
        }}
      >
        {THEMES.map((each) => (
          <option key={each} value={each}>
            {texts.theme[each]}
          </option>
        ))}
      </select>
    </label>
  );
}
