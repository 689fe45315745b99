import { REQUEST } from '../../proxy/testing/http2-frames.ts';
import { type Case, hex, head, whole, compression, ok } from './case.ts';

/** RFC 7541: compression of fields. */
export const HPACK_CASES: readonly Case[] = [
  // HPACK.
  {
    section: 'HPACK 2.3.3',
    what: 'an index beyond the tables',
    sends: [whole(hex('be'))],
    verdict: compression,
  },
  {
    section: 'HPACK 4.2',
    what: 'a size update at the end of a block',
    sends: [whole(hex('20'))],
    verdict: compression,
  },
  {
    section: 'HPACK 4.2',
    what: 'a size update at the beginning',
    sends: [head(1, 5, hex('20'), REQUEST)],
    verdict: ok,
  },
  {
    section: 'HPACK 5.2',
    what: 'padding of Huffman of 8 bits',
    sends: [whole(hex('00 82 f8ff 00'))],
    verdict: compression,
  },
  {
    section: 'HPACK 5.2',
    what: 'padding that is not ones',
    sends: [whole(hex('00 81 18 00'))],
    verdict: compression,
  },
  { section: 'HPACK 5.2', what: 'EOS', sends: [whole(hex('00 84 ffffffff 00'))], verdict: compression },
  { section: 'HPACK 6.1', what: 'the index 0', sends: [whole(hex('80'))], verdict: compression },
  {
    section: 'HPACK 6.3',
    what: 'a size above SETTINGS_HEADER_TABLE_SIZE',
    sends: [head(1, 5, hex('3fe21f'), REQUEST)],
    verdict: compression,
  },
];
