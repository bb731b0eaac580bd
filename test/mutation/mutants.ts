import ts from 'typescript';

/** A small change of a source file that its tests should notice. */
export interface Mutant {
  /** The file, from the repository's root. */
  readonly path: string;
  /** From 1 on. */
  readonly line: number;
  /** What is replaced: from this character of the file up to, not including, `end`. */
  readonly start: number;
  readonly end: number;
  readonly replaced: string;
  readonly replacement: string;
}

const { SyntaxKind } = ts;

/** What stands in an operator's place; one that is not here is left alone. */
const BINARY: ReadonlyMap<ts.SyntaxKind, readonly string[]> = new Map([
  [SyntaxKind.LessThanToken, ['<=', '>=']],
  [SyntaxKind.LessThanEqualsToken, ['<', '>']],
  [SyntaxKind.GreaterThanToken, ['>=', '<=']],
  [SyntaxKind.GreaterThanEqualsToken, ['>', '<']],
  [SyntaxKind.EqualsEqualsEqualsToken, ['!==']],
  [SyntaxKind.ExclamationEqualsEqualsToken, ['===']],
  [SyntaxKind.AmpersandAmpersandToken, ['||']],
  [SyntaxKind.BarBarToken, ['&&']],
  [SyntaxKind.PlusToken, ['-']],
  [SyntaxKind.MinusToken, ['+']],
  [SyntaxKind.AsteriskToken, ['/']],
  [SyntaxKind.SlashToken, ['*']],
  [SyntaxKind.PercentToken, ['*']],
  [SyntaxKind.AsteriskAsteriskToken, ['*']],
  [SyntaxKind.PlusEqualsToken, ['-=']],
  [SyntaxKind.MinusEqualsToken, ['+=']],
  [SyntaxKind.AsteriskEqualsToken, ['/=']],
  [SyntaxKind.SlashEqualsToken, ['*=']],
]);

/**
 * Every mutant of a source file, in the order in which they stand: other operators, conditions that always or never hold, booleans turned round,
 * numbers one larger and smaller, statements taken away. Left alone are text, types and imports, and what is written for the compiler alone,
 * which cannot know that it never happens:
 * - the 0 of `dims[axis] ?? 0` and of `const [rows = 0] = shape`, where the index is always in range;
 * - `if (!value) throw new Error(…)`, for what cannot be missing: it is not taken away (what users can cause is a UserError).
 */
export function mutantsOf(path: string, text: string): Mutant[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const mutants: Mutant[] = [];
  const add = (node: ts.Node, ...replacements: readonly string[]) => {
    const [start, end] = [node.getStart(file), node.getEnd()];
    const replaced = text.slice(start, end);
    const line = file.getLineAndCharacterOfPosition(start).line + 1;
    for (const replacement of replacements)
      if (replacement !== replaced) mutants.push({ path, line, start, end, replaced, replacement });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node)) return;
    if (ts.isTypeAliasDeclaration(node)) return;
    mutate(node, add);
    node.forEachChild(visit);
  };
  visit(file);
  return mutants;
}

function mutate(node: ts.Node, add: (node: ts.Node, ...replacements: readonly string[]) => void): void {
  if (ts.isBinaryExpression(node) && !joinsText(node))
    add(node.operatorToken, ...(BINARY.get(node.operatorToken.kind) ?? []));
  if (ts.isIfStatement(node)) add(node.expression, 'true', ...(isGuard(node) ? [] : ['false']));
  if (ts.isDoStatement(node)) add(node.expression, 'true', 'false');
  // One that always held would never end.
  if (ts.isWhileStatement(node)) add(node.expression, 'false');
  if (ts.isForStatement(node) && node.condition) add(node.condition, 'false');
  if (ts.isConditionalExpression(node)) add(node.condition, 'true', 'false');
  if (node.kind === SyntaxKind.TrueKeyword) add(node, 'false');
  if (node.kind === SyntaxKind.FalseKeyword) add(node, 'true');
  if (ts.isNumericLiteral(node) && !isKey(node) && !isFallback(node)) add(node, ...neighbours(node));
  if (ts.isPrefixUnaryExpression(node)) mutatePrefix(node, add);
  if (ts.isPostfixUnaryExpression(node)) add(node, node.operand.getText() + otherStep(node.operator));
  if (ts.isExpressionStatement(node) || ts.isBreakOrContinueStatement(node)) add(node, ';');
  if (ts.isThrowStatement(node) && !(ts.isIfStatement(node.parent) && isGuard(node.parent))) add(node, ';');
}

function mutatePrefix(
  node: ts.PrefixUnaryExpression,
  add: (node: ts.Node, ...replacements: readonly string[]) => void,
): void {
  const operand = node.operand.getText();
  if (node.operator === SyntaxKind.ExclamationToken || node.operator === SyntaxKind.MinusToken)
    add(node, `(${operand})`);
  if (node.operator === SyntaxKind.PlusPlusToken || node.operator === SyntaxKind.MinusMinusToken)
    add(node, otherStep(node.operator) + operand);
}

/** Whether a number names a property. */
const isKey = (node: ts.NumericLiteral): boolean => ts.isPropertyAssignment(node.parent) && node.parent.name === node;

/** Whether a number is the 0 that stands for an element that is always there. */
function isFallback({ text, parent }: ts.NumericLiteral): boolean {
  if (text !== '0') return false;
  if (ts.isBindingElement(parent)) return ts.isArrayBindingPattern(parent.parent);
  return (
    ts.isBinaryExpression(parent) &&
    parent.operatorToken.kind === SyntaxKind.QuestionQuestionToken &&
    ts.isElementAccessExpression(parent.left) &&
    !ts.isOptionalChain(parent.left)
  );
}

/** Whether an `if` does nothing but throw an Error where a value is missing. */
function isGuard({ expression, thenStatement, elseStatement }: ts.IfStatement): boolean {
  return (
    ts.isPrefixUnaryExpression(expression) &&
    expression.operator === SyntaxKind.ExclamationToken &&
    ts.isIdentifier(expression.operand) &&
    !elseStatement &&
    ts.isThrowStatement(thenStatement) &&
    ts.isNewExpression(thenStatement.expression) &&
    thenStatement.expression.expression.getText() === 'Error'
  );
}

const otherStep = (operator: ts.SyntaxKind): string => (operator === SyntaxKind.PlusPlusToken ? '--' : '++');

function neighbours({ text }: ts.NumericLiteral): string[] {
  const value = Number(text);
  return [String(value + 1), value === 0 ? '(-1)' : String(value - 1)];
}

/** Whether one side of a sum is text as it stands. */
function joinsText({ left, right }: ts.BinaryExpression): boolean {
  return [left, right].some((side) => ts.isStringLiteralLike(side) || ts.isTemplateExpression(side));
}

/** The file's text with the mutant in it. */
export const mutated = (text: string, { start, end, replacement }: Mutant): string =>
  text.slice(0, start) + replacement + text.slice(end);

/** How a report names a mutant. */
export const showMutant = ({ path, line, replaced, replacement }: Mutant): string =>
  `${path}:${line}  ${oneLine(replaced)}  →  ${replacement === ';' ? '(taken away)' : replacement}`;

const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
};
