import { readdirSync } from 'node:fs';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** The folders of src/, each of which imports only from those before it. */
const FLOORS = [
  ...[
    'onnx',
    'hub',
    'graph',
    'plain',
    'policy',
    'autodiff',
    'optim',
    'quantize',
    'artifacts',
    'cache',
    'runtime',
    'data',
  ],
  ...['figures', 'survey', 'energy', 'train', 'fit', 'recommend', 'bench', 'slurm', 'export', 'studio', 'cli'],
];
for (const entry of readdirSync(new URL('src', import.meta.url), { withFileTypes: true }))
  if (entry.isDirectory() && !FLOORS.includes(entry.name))
    throw new Error(`src/${entry.name} has no place among FLOORS`);
/** What one folder alone imports. */
const OWNERS = { 'onnxruntime-node': 'runtime', sharp: 'data', yargs: 'cli' };

/**
 * The rule for what a folder may not import.
 * @param {string} folder
 * @returns {import('eslint').Linter.RuleEntry}
 */
function floorRule(folder) {
  const above = FLOORS.slice(FLOORS.indexOf(folder) + 1);
  const foreign = Object.entries(OWNERS).flatMap(([name, owner]) => (owner === folder ? [] : [name]));
  const patterns = [
    { regex: `^(?:${foreign.join('|')})(?:$|/)`, message: 'Another folder alone imports it: see OWNERS.' },
  ];
  if (above.length > 0)
    patterns.push({
      regex: `^(?:\\.\\./)+(?:${above.join('|')})/`,
      message: 'A folder imports only from those before it: see FLOORS.',
    });
  if (folder === 'studio')
    patterns.push({
      regex: `^(?:\\.\\./)+(?:${FLOORS.slice(0, FLOORS.indexOf('studio')).join('|')})/`,
      message: 'The studio uses index.js alone, which is the public API.',
    });
  if (folder === 'cli')
    patterns.push({
      regex:
        '^\\.\\./(?!studio/server/serve\\.js$|(internal|entryPoint|errors|files|flagNames|lifeline|machineError|memoryLimit|quantities|text|threadPool|version)\\.js$)',
      message:
        'The CLI uses internal.js, which is the public API and little more; the others load without ONNX Runtime.',
    });
  return ['error', { patterns }];
}

/**
 * The rule for the files that every folder may import: they import none of the folders.
 * @returns {import('eslint').Linter.RuleEntry}
 */
function groundRule() {
  const patterns = [
    { regex: `^\\./(?:${FLOORS.join('|')})/`, message: 'Every folder may import this file: it imports no folder.' },
  ];
  return ['error', { patterns }];
}

export default defineConfig(
  {
    ignores: ['dist/', 'docs/api/', 'node_modules/', 'src/onnx/onnx_pb.ts', 'runs/', 'artifacts/'],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['**/*.js'],
    // What is `any` gets its type by JSDoc there, which this rule does not see; the type checker does.
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off' },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/runtime/ort.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[property.name='create'][object.property.name='InferenceSession']",
          message: "openSession waits until ONNX Runtime's telemetry is off.",
        },
      ],
    },
  },
  {
    files: ['src/**/*.{ts,tsx}'],
    plugins: { 'import-x': importX },
    settings: {
      ...importX.flatConfigs.typescript.settings,
      'import-x/resolver-next': [createTypeScriptImportResolver()],
    },
    rules: {
      'import-x/no-cycle': 'error',
      'max-lines': ['error', 350],
      'max-lines-per-function': ['error', 80],
      'max-params': ['error', 5],
    },
  },
  {
    // Every text of the page in one file, for whoever translates it.
    files: ['src/studio/page/texts.ts'],
    rules: { 'max-lines': 'off' },
  },
  {
    files: ['src/*.ts'],
    ignores: ['src/index.ts', 'src/internal.ts'],
    rules: { 'no-restricted-imports': groundRule() },
  },
  ...FLOORS.map((folder) => ({
    files: [`src/${folder}/**/*.{ts,tsx}`],
    rules: { 'no-restricted-imports': floorRule(folder) },
  })),
);
