/** The services that a node's configuration switches on, started together or not at all. */
import { resolve } from 'node:path'
import { RpcbindServer } from '../rpc/rpcbind/server.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { ServicesConfig } from './config-services.ts'
import { type FileService, startFileService } from './file-service.ts'
import { IperfServer } from './iperf/server.ts'
import { TcpNetwork } from './iperf/tcp-network.ts'
import type { Network } from './network.ts'
import { type SmallServicePorts, SmallServices } from './small-services.ts'
import { StreamServices } from './stream-services.ts'

const IPERF_INTERVAL_SECONDS = 1

export class Services {
  private readonly datagrams: SmallServices
  private readonly streams: StreamServices
  private files: FileService | null = null
  private iperf: IperfServer | null = null
  private iperfNetwork: TcpNetwork | null = null
  private portMapper: RpcbindServer | null = null

  private constructor(datagrams: SmallServices, streams: StreamServices) {
    this.datagrams = datagrams
    this.streams = streams
  }

  /**
   * @param directory - what the file server's is relative to
   * @throws StackError `ERR_ADDR_IN_USE`, and what is wrong with a directory; none runs then
   */
  static async start(
    runtime: Runtime,
    network: Pick<Network, 'listenStreams'>,
    config: ServicesConfig,
    directory: string,
  ): Promise<Services> {
    const ports = (protocol: 'udp' | 'tcp'): SmallServicePorts => ({
      echo: config.echo[protocol],
      discard: config.discard[protocol],
      chargen: config.chargen[protocol],
    })
    const datagrams = new SmallServices(runtime, ports('udp'))
    let services: Services
    try {
      services = new Services(datagrams, new StreamServices(runtime, ports('tcp')))
    } catch (error) {
      datagrams.close()
      throw error
    }
    try {
      await services.startServers(runtime, network, config, directory)
      return services
    } catch (error) {
      services.close()
      throw error
    }
  }

  private async startServers(
    runtime: Runtime,
    network: Pick<Network, 'listenStreams'>,
    { files, iperf, rpcbind }: ServicesConfig,
    directory: string,
  ): Promise<void> {
    if (files !== null) {
      const served = { ...files, directory: resolve(directory, files.directory) }
      this.files = await startFileService(network, served)
    }
    if (iperf !== null) {
      this.iperfNetwork = new TcpNetwork(runtime)
      this.iperf = await IperfServer.start({
        network: this.iperfNetwork,
        port: iperf,
        intervalSeconds: IPERF_INTERVAL_SECONDS,
        tell: line => {
          if (line.kind === 'failed') runtime.event('warn', 'iperf.failed', line.reason)
        },
      })
    }
    if (rpcbind !== null) this.portMapper = await RpcbindServer.start({ runtime }, rpcbind)
  }

  /** Where servers of RPC of this node register; null if it has none. */
  get rpcbind(): RpcbindServer | null {
    return this.portMapper
  }

  get counters(): Record<string, number> {
    const rpcbind = Object.entries(this.portMapper?.counters ?? {})
    return {
      ...this.datagrams.counters,
      ...this.streams.counters,
      ...Object.fromEntries(rpcbind.map(([name, value]) => [`rpcbind-${name}`, value])),
    }
  }

  close(): void {
    void this.portMapper?.close()
    this.iperf?.close()
    this.iperfNetwork?.close()
    this.files?.close()
    this.streams.close()
    this.datagrams.close()
  }
}
