import type { ClusterOptions } from './index.ts';

/** How the process of a cluster is to run. */
export interface ClusterConfig {
  cluster: Omit<ClusterOptions, 'logger'>;
  /** End, as by SIGTERM, when standard input ends: the cluster then lives no longer than the process that holds the other end. */
  exitWithStdin: boolean;
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$/;

/**
 * Reads the options of the process: from the JSON file of `--config FILE`, or else from ISTHMUS_CLUSTER_NAME, ISTHMUS_CLUSTER_DATA_DIR,
 * ISTHMUS_CLUSTER_IMAGES (JSON), ISTHMUS_CLUSTER_ADDRESS and ISTHMUS_CLUSTER_AUDIT_LOG. Throws an error that names what is wrong.
 */
export function parseConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): ClusterConfig {
  const [flag, path, ...rest] = args;
  if (flag === undefined) {
    return checked(
      {
        name: env['ISTHMUS_CLUSTER_NAME'],
        dataDir: env['ISTHMUS_CLUSTER_DATA_DIR'],
        images: parseJson(env['ISTHMUS_CLUSTER_IMAGES'] ?? '{}', 'ISTHMUS_CLUSTER_IMAGES'),
        address: env['ISTHMUS_CLUSTER_ADDRESS'],
        auditLog: env['ISTHMUS_CLUSTER_AUDIT_LOG'],
      },
      'the environment',
    );
  }
  if (flag !== '--config' || path === undefined || rest.length > 0)
    throw new Error(
      `unknown arguments "${args.join(' ')}": use --config FILE, or no argument and the environment`,
    );
  return checked(parseJson(readFile(path), path), path);
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${where} is not JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function checked(value: unknown, where: string): ClusterConfig {
  if (typeof value !== 'object' || value === null) throw new Error(`${where} must be a JSON object`);
  const { name, dataDir, images, address, auditLog, exitWithStdin } = value as Record<string, unknown>;
  if (typeof name !== 'string' || !NAME.test(name))
    throw new Error(`name in ${where} must be lower-case letters, digits and hyphens, at most 53 characters`);
  if (typeof dataDir !== 'string' || !dataDir.startsWith('/'))
    throw new Error(`dataDir in ${where} must be an absolute path`);
  if (address !== undefined && typeof address !== 'string')
    throw new Error(`address in ${where} must be an address such as 127.64.3.1`);
  if (auditLog !== undefined && (typeof auditLog !== 'string' || !auditLog.startsWith('/')))
    throw new Error(`auditLog in ${where} must be an absolute path`);
  return {
    cluster: {
      name,
      dataDir,
      images: checkedImages(images ?? {}, where),
      ...(address === undefined ? {} : { address }),
      ...(auditLog === undefined ? {} : { auditLog }),
    },
    exitWithStdin: exitWithStdin === true,
  };
}

function checkedImages(value: unknown, where: string): ClusterOptions['images'] {
  if (typeof value !== 'object' || value === null) throw new Error(`images in ${where} must be an object`);
  for (const [image, local] of Object.entries(value as Record<string, { command?: unknown } | null>)) {
    const command = local?.command;
    const words = Array.isArray(command) && command.length > 0 && command.every((w) => typeof w === 'string');
    if (!words)
      throw new Error(`images["${image}"].command in ${where} must be a list of words, at least one`);
  }
  return value as ClusterOptions['images'];
}
