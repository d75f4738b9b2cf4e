/** The metrics of one node: what `GET /metrics` answers. */
import type { Runtime } from '../streams/runtime.ts'
import { formatMetrics, type MetricFamily, type Sample } from './metrics.ts'
import { describePlumbing, type StreamView } from './plumbing.ts'

/** Counters of the parts of the network, by part and name. */
export type PartCounters = Readonly<Record<string, Readonly<Record<string, number>>>>

export interface MetricsSource {
  readonly name: string
  readonly version: string
  readonly uptimeSeconds: number
  readonly runtime: Runtime
  readonly network: PartCounters
}

export function nodeMetrics(source: MetricsSource): string {
  // Connections come and go: as labels they would never end.
  const streams = describePlumbing(source.runtime, 0)
  const families = [
    ...processFamilies(source),
    ...arenaFamilies(source.runtime),
    ...plumbingFamilies(streams, source.network),
    networkFamily(source.network),
  ]
  return formatMetrics(families)
}

const one = (value: number): Sample[] => [{ labels: {}, value }]

function processFamilies({ name, version, uptimeSeconds, runtime }: MetricsSource): MetricFamily[] {
  const memory = process.memoryUsage()
  return [
    {
      name: 'putnext_node_info',
      help: 'The node and its version; always 1.',
      type: 'gauge',
      samples: [{ labels: { node: name, version }, value: 1 }],
    },
    {
      name: 'putnext_uptime_seconds',
      help: 'Seconds since the node started.',
      type: 'gauge',
      samples: one(uptimeSeconds),
    },
    {
      name: 'putnext_process_resident_bytes',
      help: 'Memory of the process in the machine.',
      type: 'gauge',
      samples: one(memory.rss),
    },
    {
      name: 'putnext_process_heap_bytes',
      help: 'JavaScript heap in use.',
      type: 'gauge',
      samples: one(memory.heapUsed),
    },
    {
      name: 'putnext_service_runs_total',
      help: 'Service procedures that the scheduler ran.',
      type: 'counter',
      samples: one(runtime.scheduler.runs),
    },
    {
      name: 'putnext_module_faults_total',
      help: 'Modules that threw and were taken off.',
      type: 'counter',
      samples: one(runtime.counters['module-faults']),
    },
    {
      name: 'putnext_flushed_by_pop_total',
      help: 'Messages freed because the module that had queued them was taken off.',
      type: 'counter',
      samples: one(runtime.counters['messages-flushed-by-pop']),
    },
  ]
}

function arenaFamilies({ arena }: Runtime): MetricFamily[] {
  const byClass = (value: (one: (typeof arena.classes)[number]) => number): Sample[] =>
    arena.classes.map(each => ({ labels: { class: each.name }, value: value(each) }))
  const places = Object.keys(arena.copies) as (keyof typeof arena.copies)[]
  return [
    {
      name: 'putnext_arena_bytes',
      help: 'Size of the memory for packets.',
      type: 'gauge',
      samples: one(arena.bytes.length),
    },
    {
      name: 'putnext_arena_blocks_in_use',
      help: 'Blocks that hold something, by size class.',
      type: 'gauge',
      samples: byClass(({ inUse }) => inUse),
    },
    {
      name: 'putnext_arena_blocks_peak',
      help: 'The most blocks that were ever in use at once.',
      type: 'gauge',
      samples: byClass(({ peak }) => peak),
    },
    {
      name: 'putnext_arena_exhausted_total',
      help: 'Requests that found no block of the size class.',
      type: 'counter',
      samples: byClass(({ exhausted }) => exhausted),
    },
    {
      name: 'putnext_copied_bytes_total',
      help: 'Bytes copied, by place: inside the stack, at the edge of the program, by the kernel, at the port.',
      type: 'counter',
      samples: places.map(place => ({ labels: { place }, value: arena.copies[place].bytes })),
    },
    {
      name: 'putnext_copies_total',
      help: 'Copies made, by place.',
      type: 'counter',
      samples: places.map(place => ({ labels: { place }, value: arena.copies[place].calls })),
    },
  ]
}

function plumbingFamilies(streams: readonly StreamView[], network: PartCounters): MetricFamily[] {
  const counters: Sample[] = []
  const queued: Sample[] = []
  for (const { name: stream, instances } of streams) {
    for (const { label: module, kind, counters: own, read, write } of instances) {
      // A multiplexor tells the same on each of its streams; it is counted once, as a part of the network.
      const shown = kind === 'driver' && module in network ? {} : own
      for (const [counter, value] of Object.entries(shown))
        counters.push({ labels: { stream, module, counter }, value })
      if (kind === 'head') continue
      queued.push({ labels: { stream, module, direction: 'read' }, value: read.bytes })
      queued.push({ labels: { stream, module, direction: 'write' }, value: write.bytes })
    }
  }
  return [
    {
      name: 'putnext_module_events_total',
      help: 'What the modules and drivers of streams count, by the name of the counter.',
      type: 'counter',
      samples: unique(counters),
    },
    {
      name: 'putnext_queue_bytes',
      help: 'Bytes that wait on the queues of a module.',
      type: 'gauge',
      samples: unique(queued),
    },
  ]
}

/** Two samples must not have the same labels: streams may share a name, their values are added up. */
function unique(samples: readonly Sample[]): Sample[] {
  const found = new Map<string, Sample>()
  for (const sample of samples) {
    const key = JSON.stringify(sample.labels)
    const before = found.get(key)
    found.set(key, before === undefined ? sample : { ...sample, value: before.value + sample.value })
  }
  return [...found.values()]
}

function networkFamily(network: PartCounters): MetricFamily {
  return {
    name: 'putnext_network_events_total',
    help: 'What IP, ICMP, TCP and UDP count, by the name of the counter; drops are named by their reason.',
    type: 'counter',
    samples: Object.entries(network).flatMap(([part, counters]) =>
      Object.entries(counters).map(([counter, value]) => ({ labels: { part, counter }, value })),
    ),
  }
}
