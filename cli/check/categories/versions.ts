import { VERSION } from '../../../api/names.ts';
import type { InstallValues } from '../../install/values.ts';
import { type Check, error, none, ok, warning } from '../check.ts';
import { nameOf } from '../facts.ts';

/** Fewer than this many replicas are no high availability. */
const LEAST_REPLICAS = 2;

/** Whether everything is of one version, and as available as was asked for. */
export const versionChecks: readonly Check[] = [
  {
    id: 'cli-version',
    category: 'isthmus-version',
    stage: 'always',
    description: 'cli is up-to-date',
    run: ({ options }) => {
      const { expectedVersion = VERSION } = options;
      return expectedVersion === VERSION
        ? ok
        : warning(`this command is of version ${VERSION}, expected was ${expectedVersion}`);
    },
  },
  {
    id: 'control-plane-version',
    category: 'control-plane-version',
    stage: 'installed',
    description: 'can retrieve the control plane version',
    run: async (facts) => {
      const { image } = await facts.values();
      return imageVersion(image) === undefined
        ? error(`the image "${image}" has no tag that tells its version`)
        : ok;
    },
  },
  {
    id: 'control-plane-cli-version',
    category: 'control-plane-version',
    stage: 'installed',
    description: 'control plane and cli versions match',
    needs: ['control-plane-version'],
    run: async (facts) => {
      const installed = imageVersion((await facts.values()).image);
      return installed === VERSION
        ? ok
        : warning(
            `the control plane is of version ${installed}, this command of ${VERSION}: \`isthmus upgrade\``,
          );
    },
  },
  {
    id: 'components-version',
    category: 'control-plane-version',
    stage: 'installed',
    description: "the components' pods run the installed version",
    needs: ['control-plane-version'],
    run: async (facts) => {
      const { image } = await facts.values();
      const others = (await facts.componentPods()).flatMap((pod) => {
        const own = pod.spec?.containers.map((container) => container.image ?? '') ?? [];
        return own.includes(image) ? [] : [`${nameOf(pod)}: ${own.join(', ')}`];
      });
      return none('warning', `not running ${image}`, others);
    },
  },
  {
    id: 'ha-replicas',
    category: 'isthmus-ha-checks',
    stage: 'installed',
    description: 'multiple replicas of control plane pods',
    run: async (facts) => {
      const { highAvailability, controlPlane, gateway, mirrorController } = await facts.values();
      if (!highAvailability) return ok;
      const all = { 'control plane': controlPlane, gateway, 'mirror controller': mirrorController };
      const few = Object.entries(all).flatMap(([name, { replicas }]) =>
        replicas < LEAST_REPLICAS ? [`${name}: ${replicas}`] : [],
      );
      return none('warning', 'installed as highly available, with too few replicas', few);
    },
  },
];

/** The tag of an image; undefined when it has none, or only a digest. */
export function imageVersion(image: InstallValues['image']): string | undefined {
  const [name = ''] = image.split('@');
  return /:([^:/]+)$/.exec(name)?.[1];
}
