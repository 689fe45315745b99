import { labelValueProblems, qualifiedNameProblems } from '../schema/validation/names.ts';
import { badRequest } from './errors.ts';

/** One requirement of the text form of a label selector. `values` of a comparison is one. */
export interface Requirement {
  key: string;
  operator: 'in' | 'notin' | '=' | '!=' | '>' | '<' | 'exists' | '!';
  values: readonly string[];
}

type Token = { kind: 'identifier' | 'operator' | 'end'; text: string };

const WORDS = new Set(['in', 'notin']);
const LEXEME = /\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)/gy;

/** Parses `a=b,c!=d,e in (f,g),!h` as apimachinery's `labels.Parse`, with its messages; throws 400. */
export function parseRequirements(text: string): Requirement[] {
  return new Parser(text).selector();
}

class Parser {
  readonly #tokens: Token[] = [];
  #next = 0;

  constructor(text: string) {
    for (const [, lexeme = ''] of text.matchAll(LEXEME)) {
      const isOperator = /^[=!<>(),]/.test(lexeme) || WORDS.has(lexeme);
      this.#tokens.push({ kind: isOperator ? 'operator' : 'identifier', text: lexeme });
    }
  }

  selector(): Requirement[] {
    const requirements: Requirement[] = [];
    while (this.#peek().kind !== 'end') {
      const token = this.#peek();
      if (!isKey(token) && token.text !== '!') {
        throw badRequest(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirement());
      const after = this.#take();
      if (after.kind === 'end') break;
      if (after.text !== ',') throw badRequest(`found '${after.text}', expected: ',' or 'end of string'`);
      const following = this.#peek();
      if (!isKey(following) && following.text !== '!') {
        throw badRequest(`found '${following.text}', expected: identifier after ','`);
      }
    }
    return requirements;
  }

  #requirement(): Requirement {
    const isAbsent = this.#peek().text === '!';
    if (isAbsent) this.#take();
    const key = this.#take();
    if (!isKey(key)) throw unparsable(`found '${key.text}', expected: identifier`);
    const problems = qualifiedNameProblems(key.text);
    if (problems.length > 0) throw invalid('<nil>', key.text, problems.join('; '));
    if (isAbsent) return { key: key.text, operator: '!', values: [] };
    const next = this.#peek();
    if (next.kind === 'end' || next.text === ',') return { key: key.text, operator: 'exists', values: [] };
    return this.#comparison(key.text);
  }

  #comparison(key: string): Requirement {
    const operator = this.#take().text;
    switch (operator) {
      case 'in':
      case 'notin':
        return checked({ key, operator, values: this.#values() });
      case '=':
      case '==':
        return checked({ key, operator: '=', values: [this.#value()] });
      case '!=':
      case '<':
      case '>':
        return checked({ key, operator, values: [this.#value()] });
      default:
        throw unparsable(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  /** A value may be empty, and may be a word that is an operator elsewhere. */
  #value(): string {
    const token = this.#peek();
    if (token.kind === 'end' || token.text === ',') return '';
    this.#take();
    if (!isKey(token)) throw unparsable(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  #values(): string[] {
    const open = this.#take();
    if (open.text !== '(') throw unparsable(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    for (;;) {
      const token = this.#take();
      if (token.text === ')') return [...values, ''];
      if (token.text === ',') {
        values.push('');
        continue;
      }
      if (!isKey(token)) throw unparsable(`found '${token.text}', expected: ',', ')' or identifier`);
      values.push(token.text);
      const after = this.#take();
      if (after.text === ')') return values;
      if (after.text !== ',') throw unparsable(`found '${after.text}', expected: ',' or ')'`);
    }
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', text: '' };
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }
}

function isKey({ kind, text }: Token): boolean {
  return kind === 'identifier' || WORDS.has(text);
}

function checked(requirement: Requirement): Requirement {
  const { key, operator, values } = requirement;
  for (const [index, value] of values.entries()) {
    if ((operator === '<' || operator === '>') && !/^-?\d+$/.test(value)) {
      throw invalid(`values[${index}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer");
    }
    const problems = labelValueProblems(value);
    if (problems.length > 0) throw invalid(`values[${index}][${key}]`, value, problems.join('; '));
  }
  return requirement;
}

function invalid(field: string, value: string, problem: string): Error {
  return unparsable(`${field}: Invalid value: ${JSON.stringify(value)}: ${problem}`);
}

function unparsable(problem: string): Error {
  return badRequest(`unable to parse requirement: ${problem}`);
}
