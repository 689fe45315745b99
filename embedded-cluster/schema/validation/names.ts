/** Syntax rules of names and labels, in the real server's words (k8s.io/apimachinery/pkg/util/validation). Each returns what is wrong, or undefined. */

const dns1123Label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const dns1123Subdomain = `${dns1123Label}(\\.${dns1123Label})*`;
const dns1035Label = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualifiedNamePart = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValuePart = `(${qualifiedNamePart})?`;

const maxLabelLength = 63;
const maxSubdomainLength = 253;

const dns1123LabelRegExp = new RegExp(`^${dns1123Label}$`);
const dns1123SubdomainRegExp = new RegExp(`^${dns1123Subdomain}$`);
const dns1035LabelRegExp = new RegExp(`^${dns1035Label}$`);
const qualifiedNameRegExp = new RegExp(`^${qualifiedNamePart}$`);
const labelValueRegExp = new RegExp(`^${labelValuePart}$`);

export function dns1123LabelProblem(value: string): string | undefined {
  if (value.length > maxLabelLength) return tooLongText(maxLabelLength);
  if (dns1123LabelRegExp.test(value)) return undefined;
  return `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${dns1123Label}')`;
}

export function dns1123SubdomainProblem(value: string): string | undefined {
  if (value.length > maxSubdomainLength) return tooLongText(maxSubdomainLength);
  if (dns1123SubdomainRegExp.test(value)) return undefined;
  return `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${dns1123Subdomain}')`;
}

export function dns1035LabelProblem(value: string): string | undefined {
  if (value.length > maxLabelLength) return tooLongText(maxLabelLength);
  if (dns1035LabelRegExp.test(value)) return undefined;
  return `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${dns1035Label}')`;
}

/** Names that are used as one segment of a URL path, such as those of RBAC kinds. */
export function pathSegmentProblem(value: string): string | undefined {
  if (value === '.' || value === '..') return `may not be '${value}'`;
  const bad = /[/%]/.exec(value);
  return bad === null ? undefined : `may not contain '${bad[0]}'`;
}

/** `prefix/name` or `name`: keys of labels and annotations, finalizers. */
export function qualifiedNameProblems(value: string): string[] {
  const parts = value.split('/');
  const problems: string[] = [];
  const [first = '', second] = parts;
  if (parts.length > 2) {
    return [
      `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualifiedNamePart}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  if (second !== undefined) {
    if (first === '') problems.push('prefix part must be non-empty');
    else {
      const problem = dns1123SubdomainProblem(first);
      if (problem !== undefined) problems.push(`prefix part ${problem}`);
    }
  }
  const name = second ?? first;
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > maxLabelLength) problems.push(`name part ${tooLongText(maxLabelLength)}`);
  if (!qualifiedNameRegExp.test(name)) {
    problems.push(
      `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualifiedNamePart}')`,
    );
  }
  return problems;
}

export function labelValueProblems(value: string): string[] {
  const problems: string[] = [];
  if (value.length > maxLabelLength) problems.push(tooLongText(maxLabelLength));
  if (!labelValueRegExp.test(value)) {
    problems.push(
      `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${labelValuePart}')`,
    );
  }
  return problems;
}

/** Names of container and service ports (RFC 6335, at most 15 characters). */
export function portNameProblems(value: string): string[] {
  const problems: string[] = [];
  if (value.length > 15) problems.push(tooLongText(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)');
  if (value.includes('--')) problems.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) {
    problems.push('must not begin or end with a hyphen');
  }
  return problems;
}

/** Keys of ConfigMaps and Secrets. */
export function configKeyProblem(value: string): string | undefined {
  if (value.length > maxSubdomainLength) return tooLongText(maxSubdomainLength);
  if (value === '.' || value === '..') return `must not be '${value}'`;
  if (value.startsWith('..')) return "must not start with '..'";
  if (/^[-._a-zA-Z0-9]+$/.test(value)) return undefined;
  return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
}

export function portNumberProblem(value: unknown): string | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535
    ? undefined
    : 'must be between 1 and 65535, inclusive';
}

function tooLongText(maximum: number): string {
  return `must be no more than ${maximum} characters`;
}
