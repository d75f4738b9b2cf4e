/** Modules and drivers by name, and what is pushed by itself when a driver opens: fmodsw, cdevsw and autopush(8). */
import { StackError } from '../base/errors.ts'
import type { AnyModule } from './module.ts'

const NAME = /^[a-z][a-z0-9-]{0,31}$/
const REGISTRY_MAX = 1_024

/** A module to push, with its options. */
export interface PushSpec {
  readonly module: string
  readonly options?: unknown
}

export class Registry {
  private readonly modules = new Map<string, AnyModule>()
  private readonly autopushes = new Map<string, readonly PushSpec[]>()

  /** @throws StackError `ERR_BAD_ARGUMENT` for a bad name or water marks, `ERR_ADDR_IN_USE` if the name is taken */
  register(info: AnyModule): void {
    if (!NAME.test(info.name))
      throw new StackError(
        'ERR_BAD_ARGUMENT',
        `bad module name "${info.name}": lower case, digits and dashes, 1 to 32`,
      )
    if (!(info.hiwat > 0 && info.lowat >= 0 && info.lowat <= info.hiwat)) {
      throw new StackError(
        'ERR_BAD_ARGUMENT',
        `module ${info.name}: water marks must be 0 <= lowat <= hiwat, hiwat > 0`,
      )
    }
    if (this.modules.has(info.name))
      throw new StackError('ERR_ADDR_IN_USE', `a module named ${info.name} is registered already`)
    if (this.modules.size >= REGISTRY_MAX)
      throw new StackError('ERR_NO_BUFFERS', 'too many modules are registered')
    this.modules.set(info.name, info)
  }

  unregister(name: string): void {
    this.modules.delete(name)
  }

  has(name: string): boolean {
    return this.modules.has(name)
  }

  /** @throws StackError `ERR_NOT_FOUND`, naming what there is */
  find(name: string): AnyModule {
    const info = this.modules.get(name)
    if (info !== undefined) return info
    throw new StackError('ERR_NOT_FOUND', `no module named "${name}"`, {
      hint: `known: ${this.names().join(', ') || 'none'}`,
    })
  }

  names(): string[] {
    return [...this.modules.keys()].sort()
  }

  /** Sets what is pushed, first to last, when a driver of that name opens. An empty list undoes it. */
  setAutopush(driver: string, specs: readonly PushSpec[]): void {
    if (specs.length === 0) this.autopushes.delete(driver)
    else this.autopushes.set(driver, specs)
  }

  autopush(driver: string): readonly PushSpec[] {
    return this.autopushes.get(driver) ?? []
  }
}
