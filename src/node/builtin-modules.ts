/** The modules that every node can push without loading anything. */
import { captureModule } from '../driver/capture-file.ts'
import { impairModule } from '../driver/impair.ts'
import { nullModule } from '../driver/null.ts'
import { rpcmod } from '../rpc/rpcmod.ts'
import type { AnyModule } from '../streams/module.ts'
import type { Registry } from '../streams/registry.ts'

const BUILTIN: readonly AnyModule[] = [captureModule, impairModule, nullModule, rpcmod]

export function registerBuiltinModules(registry: Registry): void {
  for (const info of BUILTIN) registry.register(info)
}
