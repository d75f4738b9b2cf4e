// Made from calculator.x by putnext rpcgen. Edits are lost when it runs again.
import { type XdrCodec, xdrEnum } from 'putnext/xdr'
import { type Answer, Operation, type Task } from './calculator-types.ts'

export const operationXdr: XdrCodec<Operation> = xdrEnum(Operation)
export const operationValues: ReadonlySet<Operation> = new Set(Object.values(Operation))

export const taskXdr: XdrCodec<Task> = {
  encode(xdr, value) {
    xdr.putEnum('what', value.what, operationValues)
    xdr.putDouble('left', value.left)
    xdr.putDouble('right', value.right)
  },
  decode(xdr) {
    return {
      what: xdr.enum('what', operationValues),
      left: xdr.double('left'),
      right: xdr.double('right'),
    }
  },
}

export const answerXdr: XdrCodec<Answer> = {
  encode(xdr, value) {
    xdr.putBool('isDefined', value.isDefined)
    switch (value.isDefined) {
      case true:
        xdr.putDouble('value', value.value)
        break
      case false:
        xdr.putString('reason', value.reason, 80)
        break
    }
  },
  decode(xdr) {
    const discriminant = xdr.bool('isDefined')
    switch (discriminant) {
      case true:
        return { isDefined: discriminant, value: xdr.double('value') }
      case false:
        return { isDefined: discriminant, reason: xdr.string('reason', 80) }
    }
  },
}
