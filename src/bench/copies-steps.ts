/**
 * The arms of `bench copies`, and what each has that its neighbour has not.
 *
 * The same bytes go from a program through head, TCP, IP and link, with the module "copy" at the three boundaries between them. From
 * one arm to the next one thing changes:
 *
 * - `c`, `d`, `e`: no offload of any kind, on a link of {@link MTU_LARGE}, so that what crosses the boundaries is as large as the messages are. Segments are
 *   of one MSS, made by TCP, and their checksums are summed here. `c` copies at all three boundaries, `d` at the last (what is contiguous
 *   crosses the device as one piece), `e` nowhere: a packet is a chain of headers and views of the program's bytes.
 * - `f` is `e` on a link that finishes checksums. On TUN this also spares the kernel the sum at its end.
 * - `p` is `f` on a link of {@link MTU_USUAL}, as networks are: what each layer costs by packet is paid 45 times as often. TCP makes the segments itself
 *   (`Tcp.offload` is off): were IP to cut super-segments, the upper boundaries would be crossed seldom all the same.
 * - `q` is `p` with a copy at every boundary: what three copies matter where packets are small. It leads to no other arm.
 * - `g` is `p` on a link that cuts super-segments of up to 64 KiB. A device gives that only together with checksum offload, which `p` has.
 * - `h` is `g` with one copy at the last boundary: the control. If it is no slower than `g`, what `e` gains over `c` is not the copies.
 * - `a` and `b` run on the stack of `g`, so that they differ from it by the way between program and stack, and by nothing else.
 */
import { LINK_CSUM, LINK_TRUSTED, LINK_TSO4, LINK_TSO6, LINK_USO } from '../streams/link-info.ts'
import type { CopiesArmId } from './copies-result.ts'
import type { CopyHow } from './copy-module.ts'

/** Layer boundaries, from the top down. */
export type Boundary = 'head' | 'transport' | 'link'

export type Offload = 'none' | 'checksum' | 'segmentation'

/** What makes an arm of the experiment. */
export interface Steps {
  readonly head: CopyHow
  readonly transport: CopyHow
  readonly link: CopyHow
  readonly offload: Offload
  /** Of the link, in bytes. */
  readonly mtu: number
}

/** The largest of a TUN device that IPv4 can fill with whole words. */
export const MTU_LARGE = 65_520
export const MTU_USUAL = 1_500

/** The arms whose stack is in the program's process. */
export type InProcessArm = 'c' | 'd' | 'e' | 'f' | 'p' | 'q' | 'g' | 'h'

export const IN_PROCESS: readonly InProcessArm[] = ['c', 'd', 'e', 'f', 'p', 'q', 'g', 'h']

const PASS = { head: 'pass', transport: 'pass', link: 'pass' } as const
const COPY = { head: 'copy', transport: 'copy', link: 'copy' } as const

export const STEPS: Readonly<Record<InProcessArm, Steps>> = {
  c: { ...COPY, offload: 'none', mtu: MTU_LARGE },
  d: { ...PASS, link: 'linearise', offload: 'none', mtu: MTU_LARGE },
  e: { ...PASS, offload: 'none', mtu: MTU_LARGE },
  f: { ...PASS, offload: 'checksum', mtu: MTU_LARGE },
  p: { ...PASS, offload: 'checksum', mtu: MTU_USUAL },
  q: { ...COPY, offload: 'checksum', mtu: MTU_USUAL },
  g: { ...PASS, offload: 'segmentation', mtu: MTU_USUAL },
  h: { ...PASS, link: 'copy', offload: 'segmentation', mtu: MTU_USUAL },
}

/** `LINK_*` bits that the module on the link hides. */
export function hiddenCapabilities(offload: Offload): number {
  const segmentation = LINK_TSO4 | LINK_TSO6 | LINK_USO
  // A link that is trusted spares the checksum, too: only the wire is.
  if (offload === 'none') return segmentation | LINK_CSUM | LINK_TRUSTED
  return offload === 'checksum' ? segmentation : 0
}

export interface ArmText {
  readonly title: string
  readonly what: string
}

export const ARM_TEXTS: Readonly<Record<CopiesArmId, ArmText>> = {
  a: {
    title: 'daemon behind the IPC port',
    what: 'The stack is in a process of its own; requests and data go through a Unix socket.',
  },
  b: {
    title: 'mapped port',
    what: 'The stack is in a process of its own; the bytes are in memory that both share, and only descriptors cross.',
  },
  c: {
    title: 'a copy at every boundary',
    what: 'In process, three copies: between program and TCP, TCP and IP, IP and link. Packets of up to 64 KiB, no offload.',
  },
  d: {
    title: 'made contiguous once',
    what: 'As c, but one copy: each packet is copied into one block before the link.',
  },
  e: {
    title: 'chains',
    what: "As c, but no copy: a packet is a chain of headers and views of the program's bytes.",
  },
  f: {
    title: 'chains, checksum offload',
    what: 'As e; the link finishes the checksums.',
  },
  p: {
    title: 'chains, packets of 1,500 bytes',
    what: 'As f; the link takes no larger packets.',
  },
  q: {
    title: 'packets of 1,500 bytes, a copy at every boundary',
    what: 'As p, with three copies: what they matter where packets are small.',
  },
  g: {
    title: 'chains, segmentation offload',
    what: 'As p; super-segments of up to 64 KiB, cut by the link or not at all.',
  },
  h: {
    title: 'control: one copy more',
    what: 'As g, with exactly one copy added, between IP and link.',
  },
  kernel: {
    title: 'kernel sockets',
    what: "C programs on the kernel's own sockets; the stack is the kernel's.",
  },
  nodenet: {
    title: 'node:net',
    what: "Node's own sockets to the same C program; the stack is the kernel's.",
  },
  rawtun: {
    title: 'C on a raw TUN device',
    what: 'The least that an endpoint on the device can do, with all offloads, one header for each super-segment and no stack behind it.',
  },
}

/** Neighbours that are told: what changes from `against` to `arm`. */
export const COMPARED: readonly {
  readonly arm: CopiesArmId
  readonly against: CopiesArmId
  readonly step: string
}[] = [
  { arm: 'b', against: 'a', step: 'descriptors in shared memory instead of data through a socket' },
  { arm: 'g', against: 'a', step: 'no process between program and stack, instead of an IPC port' },
  { arm: 'g', against: 'b', step: 'no process between program and stack, instead of a mapped port' },
  { arm: 'd', against: 'c', step: 'one copy instead of three' },
  { arm: 'e', against: 'd', step: 'no copy instead of one' },
  { arm: 'e', against: 'c', step: 'no copy instead of three' },
  { arm: 'f', against: 'e', step: 'checksums left to the link' },
  { arm: 'p', against: 'f', step: 'packets of 1,500 bytes instead of 65,520' },
  { arm: 'q', against: 'p', step: 'three copies instead of none, in packets of 1,500 bytes' },
  { arm: 'g', against: 'p', step: 'segmentation left to the link' },
  { arm: 'h', against: 'g', step: 'one copy more' },
  { arm: 'g', against: 'kernel', step: 'this stack in user space instead of the one in the kernel' },
  { arm: 'g', against: 'nodenet', step: "this stack without copies instead of Node's own sockets" },
  { arm: 'g', against: 'rawtun', step: 'a whole stack instead of the least that the device allows' },
]
