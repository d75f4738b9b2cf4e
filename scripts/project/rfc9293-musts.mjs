// The 69 requirements that RFC 9293 labels MUST-1 to MUST-69 (Appendix B), in the order of its text, each in our words.

/**
 * @typedef {object} Requirement
 * @property {number} id of MUST-id or SHLD-id
 * @property {string} section of RFC 9293
 * @property {string} rule
 * @property {string} [note] what is to be said of how it is met
 * @property {string} [notMet] why it is not; its test then shows what happens instead
 */

/** @param {number} id @param {string} section @param {string} rule @returns {Requirement} */
const must = (id, section, rule) => ({ id, section, rule })

/** @param {number} id @param {string} rule @param {string} notMet @returns {Requirement} */
const sourceRoute = (id, rule, notMet) => ({ id, section: '3.9.2.1', rule, notMet })

/** @type {readonly Requirement[]} */
export const MUSTS = [
  must(1, '3.1', 'the window is an unsigned number'),
  must(2, '3.1', 'every segment sent has a checksum'),
  must(3, '3.1', 'the checksum of every segment received is checked'),
  must(69, '3.1', 'header bytes behind the end of the option list are zero'),
  must(4, '3.1', 'the options end-of-list, no-operation and maximum segment size are supported'),
  must(5, '3.1', 'an option may come in any segment'),
  must(6, '3.1', 'an option that nobody knows is skipped'),
  must(68, '3.1', 'every option but end-of-list and no-operation has a length'),
  must(7, '3.1', 'an option length that cannot be does no harm'),
  must(64, '3.2', 'options need not begin at a word boundary'),
  must(65, '3.2', 'the maximum segment size is told in SYN segments only'),
  must(66, '3.4', 'RST and URG of all segments count while the receive window is zero'),
  must(8, '3.4.1', 'initial sequence numbers come from a clock'),
  must(9, '3.4.1', 'nobody outside can compute initial sequence numbers'),
  must(10, '3.5', 'two ends that open at once get one connection'),
  must(11, '3.5', 'SYN-RECEIVED remembers whether it came from a passive or an active open'),
  must(12, '3.6', 'the program learns whether a connection was closed or aborted'),
  must(13, '3.6.1', 'TIME-WAIT lasts for two maximum segment lifetimes'),
  must(14, '3.7.1', 'the maximum segment size option is sent and understood'),
  must(15, '3.7.1', 'without the option a peer takes 536 bytes over IPv4, 1,220 over IPv6'),
  must(16, '3.7.1', 'segments keep to the peer’s size and to the path’s, options included'),
  must(67, '3.7.1', 'the size that is announced can be received'),
  must(17, '3.7.4', 'a program can switch the Nagle algorithm off'),
  must(18, '3.8.1', 'the retransmission timeout is that of RFC 6298, with Karn’s rule'),
  must(19, '3.8.2', 'congestion control as RFC 5681 wants it'),
  must(20, '3.8.3', 'data that is sent again and again leads to doubt about the path, and then to the end'),
  must(21, '3.8.3', 'a program can set when that end comes'),
  must(22, '3.8.3', 'SYN segments are treated the same way'),
  must(23, '3.8.3', 'an attempt to connect lasts three minutes at least'),
  must(24, '3.8.4', 'keep-alive is switched on and off by connection'),
  must(25, '3.8.4', 'keep-alive is off by default'),
  must(26, '3.8.4', 'keep-alive probes are sent only after silence for the interval'),
  must(27, '3.8.4', 'that interval can be set'),
  must(28, '3.8.4', 'it is two hours or more by default'),
  must(29, '3.8.4', 'a probe that is not answered does not end the connection by itself'),
  must(30, '3.8.5', 'urgent data is supported'),
  must(62, '3.8.5', 'the urgent pointer points behind the urgent data'),
  must(31, '3.8.5', 'urgent data may have any length'),
  must(32, '3.8.5', 'the program is told when urgent data comes, without asking'),
  must(33, '3.8.5', 'the program can learn how much urgent data it has yet to read'),
  must(34, '3.8.6', 'a peer may shrink its window'),
  must(35, '3.8.6', 'a window that was shrunk to zero is probed'),
  must(36, '3.8.6.1', 'zero windows are probed'),
  must(37, '3.8.6.1', 'a peer that answers the probes may keep its window closed for ever'),
  must(38, '3.8.6.2.1', 'the sender avoids silly windows'),
  must(39, '3.8.6.2.2', 'the receiver avoids silly windows'),
  must(40, '3.8.6.3', 'an acknowledgment waits for less than half a second'),
  must(41, '3.9.1.1', 'listening changes no connection that exists'),
  must(42, '3.9.1.1', 'a program can listen on a port from which another connection is being opened'),
  must(43, '3.9.1.1', 'a program can say which local address it wants'),
  must(44, '3.9.1.1', 'IP chooses the local address otherwise, before the first SYN'),
  must(45, '3.9.1.1', 'all segments of a connection have the same local address'),
  must(46, '3.9.1.1', 'a connection to a broadcast or multicast address is refused'),
  must(60, '3.9.1.2', 'data does not wait for ever, whether it was pushed or not'),
  must(61, '3.9.1.2', 'the last segment of what was buffered has PSH'),
  must(47, '3.9.1.8', 'soft errors are reported to the program'),
  must(48, '3.9.1.9', 'a program can set the differentiated services field'),
  must(49, '3.9.2', 'the time to live can be set'),
  must(50, '3.9.2.1', 'IP options that nobody knows are ignored'),
  sourceRoute(
    51,
    'a program can give a source route when it connects',
    'no call takes one. The RFC asks it of hosts whose IP uses source routing, and ours does not (RFC 7126 §4.3, §4.4), see [divergence.md](divergence.md)',
  ),
  sourceRoute(
    52,
    'which counts more than one that was received',
    'there is neither: a packet with a source route is dropped by IP (`ipv4-source-route`, `ipv6-routing-header`), and TCP never sees it',
  ),
  sourceRoute(
    53,
    'a connection that was opened with a source route answers by it',
    'no connection is opened by such a packet: it is dropped, as above',
  ),
  must(54, '3.9.2.2', 'ICMP errors reach the connection that they concern'),
  must(55, '3.9.2.2', 'source quench is ignored'),
  must(56, '3.9.2.2', 'soft ICMP errors end no connection'),
  must(63, '3.9.2.3', 'a SYN from an address that cannot be one host’s is ignored'),
  must(57, '3.9.2.3', 'a SYN to a broadcast or multicast address is ignored'),
  must(58, '3.10.7.4', 'segments that come together are acknowledged together'),
  must(59, '3.10.7.4', 'all segments that wait are worked off before anything is acknowledged'),
]
