/** The second half of `npm run generate`: turns the generated descriptors into lazy ones (`lazy.ts`). Running it again changes nothing. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = import.meta.dirname;
const OWN_FILE = /\bfile_(?:isthmus|linkerd)_\w+/;

for (const file of globSync('gen/**/*_pb.{js,d.ts}', { cwd: root })) {
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  if (file.endsWith('.d.ts')) writeFileSync(path, lazyTypes(text));
  else if (!text.includes('/lazy.ts"')) writeFileSync(path, lazyCode(text, dirname(path)));
}

function lazyCode(text: string, dir: string): string {
  const own = new RegExp(OWN_FILE, 'g');
  const call = '/*@__PURE__*/ $&()';
  const names = text.includes('serviceDesc(') ? 'lazy, lazyService' : 'lazy';
  return text
    .replace(
      /fileDesc\(("[^"]+")(?:, \[([^\]]*)\])?\);/,
      (_all, bytes: string, needs: string | undefined) =>
        `lazy(() => fileDesc(${bytes}${needs === undefined ? '' : `, [${needs.replace(own, '$&()')}]`}));`,
    )
    .replace(/serviceDesc\((\w+), (\d+)\);/g, (_all, of: string, index: string) => {
      return `lazyService(() => serviceDesc(${of}(), ${index}));`;
    })
    .replace(/(?<=(?:messageDesc|enumDesc)\()file_\w+/g, call)
    .replace(
      /^import .*codegenv2";$/m,
      `$&\nimport { ${names} } from "${relative(dir, join(root, 'lazy.ts'))}";`,
    );
}

function lazyTypes(text: string): string {
  return text.replace(/^(export declare const file_\w+): GenFile;/m, '$1: () => GenFile;');
}
