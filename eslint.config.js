import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  {
    ignores: [
      'dist/',
      'docs/api/',
      'node_modules/',
      'src/onnx/onnx_pb.ts',
      'runs/',
      'artifacts/',
      'bench/**/*.js',
      'bench/**/*.cjs',
      'models/*.js',
      'src/export/page/*.js',
      'test/fuzz/*.js',
      'test/kill/*.js',
      'test/vendor/*.js',
      'test/zoo/*.js',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['*.js'] } } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
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
    files: ['src/cli/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^\\.\\./(?!(index|errors|files|lifeline|machineError|memoryLimit|text|version)\\.js$)',
              message: 'The CLI uses the public API alone; the others load without ONNX Runtime.',
            },
          ],
        },
      ],
    },
  },
);
