/** The addresses of the packet in hand, read once; one record serves all. IPv4 addresses are v4-mapped. */
import { MAPPED_WORD } from '../unitdata.ts'

export class PacketAddresses {
  source0 = 0
  source1 = 0
  source2 = 0
  source3 = 0
  destination0 = 0
  destination1 = 0
  destination2 = 0
  destination3 = 0

  set4(source: number, destination: number): void {
    this.source0 = 0
    this.source1 = 0
    this.source2 = MAPPED_WORD
    this.source3 = source
    this.destination0 = 0
    this.destination1 = 0
    this.destination2 = MAPPED_WORD
    this.destination3 = destination
  }
}
