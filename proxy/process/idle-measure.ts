/** libuv's versions whose loops are laid out as is expected here: in others nothing is touched. */
const KNOWN_LIBUV = /^1\.52\./;
/** Of `uv_loop_t`, whose layout stays within libuv 1: behind two counts and the ends of a list a pointer to what only libuv knows (uv.h). */
const INTERNAL_FIELDS = 40;
/** The first word there has the loop's options, of which the runtime sets this one alone (uv-common.h, and UV_METRICS_IDLE_TIME of uv.h). */
const MEASURES_IDLE_TIME = 1;

/**
 * From now on the event loop does not measure how long it is idle: for that it asks the kernel what has come, without
 * waiting, before each time that it waits, which is a second system call for each turn that had nothing to do. Nobody
 * here reads that measure (`eventLoopUtilization`), and the runtime has no way to do without.
 *
 * Where koffi does not load, or the runtime is not one that this was looked up for, all stays as it was. Never rejects.
 * @returns whether it measures no more
 */
export async function stopIdleMeasure(libuv: string = process.versions.uv): Promise<boolean> {
  if (!KNOWN_LIBUV.test(libuv)) return false;
  try {
    const { default: koffi } = await import('koffi');
    const loop: unknown = koffi.load(null).func('void *uv_default_loop()')();
    const options: unknown = koffi.decode(loop, INTERNAL_FIELDS, koffi.pointer('uint32_t', 1));
    // Anything else is not what it is taken for.
    if (koffi.decode(options, 'uint32_t') !== MEASURES_IDLE_TIME) return false;
    koffi.encode(options, 'uint32_t', 0);
    return true;
  } catch {
    // A matter of comfort.
    return false;
  }
}
