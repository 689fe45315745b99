import { lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Container } from '../../api/kubernetes-types.ts';

/** Kubernetes' default terminationMessagePath. */
const TERMINATION_LOG = '/dev/termination-log';
/** `-f=`, `--config-file=`, and what environment variables hold for runtimes: `-Djava.security.policy=`. */
const FLAG = /^--?[A-Za-z][\w.-]*=/;

/**
 * Without root there is no mount namespace: what a container would see at a path stands under a directory of its own, as a symbolic link. Paths that a
 * container's configuration names are rewritten to there; `ISTHMUS_VOLUME_ROOT` tells the directory to programs that know a path by heart.
 */
export interface ContainerRoot {
  readonly dir: string;
  /** Where the container's termination message is read from. */
  readonly terminationLog: string;
  /**
   * A text that is one of the container's mount paths or below one, or a flag `--name=` with such a path, with the real
   * place of it; else the text unchanged.
   */
  rewrite: (text: string) => string;
}

/** Makes the directory anew, with a link for each of the container's mounts. `volumeDir` gives a volume's directory or file. */
export function createContainerRoot(
  dir: string,
  container: Container,
  volumeDir: (volume: string) => string,
): ContainerRoot {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Outer paths first: an inner one is then made inside the outer volume, as the container runtime does.
  const mounts = [...(container.volumeMounts ?? [])].sort((a, b) => a.mountPath.length - b.mountPath.length);
  for (const mount of mounts) {
    const target = join(volumeDir(mount.name), mount.subPath ?? '');
    const link = join(dir, mount.mountPath);
    mkdirSync(dirname(link), { recursive: true });
    if (!present(link)) symlinkSync(target, link);
  }
  const messagePath = container.terminationMessagePath ?? TERMINATION_LOG;
  const terminationLog = join(dir, messagePath);
  mkdirSync(dirname(terminationLog), { recursive: true });
  if (!present(terminationLog)) writeFileSync(terminationLog, '');

  const paths = [...mounts.map((mount) => mount.mountPath.replace(/\/+$/, '')), messagePath];
  return {
    dir,
    terminationLog,
    rewrite(text) {
      const flag = FLAG.exec(text)?.[0] ?? '';
      const value = text.slice(flag.length);
      const inside = paths.some((path) => path !== '' && (value === path || value.startsWith(`${path}/`)));
      return inside ? flag + join(dir, value) : text;
    },
  };
}

function present(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
