/** The fields of a packet that is about to get its header; one record serves all. */
export class OutputRequest {
  family = 4
  protocol = 0
  /** The interface to leave by, 0 for the routes' choice. */
  scope = 0
  remote0 = 0
  remote1 = 0
  remote2 = 0
  remote3 = 0
  /** The source; all zero until it is chosen. */
  local0 = 0
  local1 = 0
  local2 = 0
  local3 = 0
  hopLimit = 0
  trafficClass = 0
  /** Bytes of the packet without the IP header, and of its largest part that leaves as one packet. */
  payloadBytes = 0
  largestBytes = 0
  segments = 1
  mtu = 0
  /** IPv4 identification, if it is sent in one piece. */
  id = 0
}
