// The 31 recommendations that RFC 9293 labels SHLD-1 to SHLD-31 (Appendix B), in the order of its text, each in our words.

/** @typedef {import('./rfc9293-musts.mjs').Requirement} Requirement */

/** @param {number} id @param {string} section @param {string} rule @param {string} [note] @returns {Requirement} */
const should = (id, section, rule, note) => ({ id, section, rule, ...(note === undefined ? {} : { note }) })

/** @type {readonly Requirement[]} */
export const SHOULDS = [
  should(1, '3.4.1', 'initial sequence numbers are a clock and a keyed function of the addresses and ports'),
  should(2, '3.5.3', 'a reset may carry data'),
  should(3, '3.6', 'data that comes when nobody can read it any more is answered by a reset'),
  should(4, '3.6.1', 'timestamps shorten TIME-WAIT (RFC 6191)'),
  should(5, '3.7.1', 'every SYN says a maximum segment size that is not the default'),
  should(
    6,
    '3.7.3',
    'of a link whose MTU varies, the smallest is announced',
    'no link here varies from packet to packet; what it takes when the SYN leaves is announced',
  ),
  should(7, '3.7.4', 'the Nagle algorithm'),
  should(8, '3.8.2', 'ECN (RFC 3168)', 'agreed to by default, asked for with `ecn: 2`'),
  should(9, '3.8.3', 'the program learns at R1 that nothing arrives'),
  should(10, '3.8.3', 'R1 is three retransmissions or more'),
  should(11, '3.8.3', 'R2 is 100 seconds or more'),
  should(12, '3.8.4', 'a keep-alive probe has no data'),
  should(
    13,
    '3.8.5',
    'new programs send no urgent data',
    'a rule for programs; those of this package keep to it',
  ),
  should(14, '3.8.6', 'a receiver does not shrink its window'),
  should(15, '3.8.6', 'what a shrunk window does not take is not sent'),
  should(16, '3.8.6', 'what it takes is sent again as ever'),
  should(17, '3.8.6', 'data beyond it times no connection out'),
  should(29, '3.8.6.1', 'the first probe of a zero window comes after a retransmission timeout'),
  should(30, '3.8.6.1', 'and the next ones after twice as long each time'),
  should(18, '3.8.6.3', 'acknowledgments are delayed'),
  should(19, '3.8.6.3', 'but not that of every second full segment'),
  should(27, '3.9.1.2', 'what was pushed piece by piece is collected into the largest segments'),
  should(28, '3.9.1.2', 'segments have the largest size whenever they can'),
  should(20, '3.9.1.8', 'a program can do without reports of trouble'),
  should(21, '3.9.1.9', 'a program can change the differentiated services field of a connection'),
  should(22, '3.9.1.9', 'which reaches IP as it was given'),
  should(
    23,
    '3.9.2',
    'though in general programs do not',
    'a rule for programs; those of this package keep to it',
  ),
  {
    id: 24,
    section: '3.9.2.1',
    rule: 'a source route that comes later replaces the one before',
    notMet: 'as MUST-53: none is taken',
  },
  should(25, '3.9.2.2', 'a program can learn of soft ICMP errors'),
  {
    id: 26,
    section: '3.9.2.2',
    rule: 'hard ICMP errors end a connection',
    notMet:
      'one that is being opened, yes; one that is established hears of it and lives (RFC 5461, RFC 5927 §5.2), see [divergence.md](divergence.md)',
  },
  should(31, '3.10.7.4', 'segments that come early are kept'),
]
