/** How the figures of `bench copies` are taken, in sentences that travel with them. */
export const METHOD: readonly string[] = [
  'A program sends messages of one size over one TCP connection as fast as they are taken. Arms take turns in each round, and the order rotates; figures are medians of the rounds, ratios are taken round by round.',
  'Before anything is timed, (a) to (h) move known bytes in messages of ten sizes; the other end answers with a digest over every byte, in order.',
  'The messages of the timed part are sent from 4 MiB of distinct data in turn, in blocks of the arena. In blocks that are not small (above 512 bytes) and not mostly empty nothing is copied; others are gathered by TCP, and that counts as a copy in the stack.',
  "Throughput is what the program's stack took over in the window, which is what the other end got but for what is on its way (some MB at most).",
  "Processor time is that of the program's process, of the daemon too where there is one: user and system, from getrusage(2). On a TUN device the other end's kernel receives within our write and is in it; its program is not. Of C on a raw device and of C on kernel sockets, the whole process.",
  'Copied bytes are the counters of the stack (every bulk move of bytes goes through one function): in the stack, at the edge of the program, at the IPC port; by the kernel are those between stack and device, or through the socket of the IPC port, as the driver reports them. What the kernel copies for its own sockets nobody counts.',
  'Heap allocated is the sum of the growth between looks 20 ms apart; what a collection took between two looks is not seen, and a look itself costs some hundred bytes. Pauses are those that the engine reports.',
  'Reads and writes are those that the kernel counts for the process (/proc/PID/io): one for each packet of a device, which has no call for several, and one in vain for each batch. Waiting (epoll) is not among them. Of C on kernel sockets, its own count.',
  'A round trip is one byte there and back, seen by the program. On TUN the loop of a node looks for the next packet some 100 µs before it sleeps, and so does C on a raw device; of this one, the kernel is the program.',
  'Modules and calls on messages are measured in one process, without a link: "putnext bench modules" with fewer seconds.',
]
