-- Made by putnext rpcgen. To use it: wireshark -X lua_script:every-type.lua, or put it among the plugins.
local NAME = "putnext_every_type"
local TITLE = "every-type.x over ONC RPC"
local T, V = {}, {}

T["color"] = {kind = "enum", names = {[2] = "RED", [3] = "GREEN", [5] = "BLUE"}}
T["handle"] = {kind = "fixed opaque", size = 32}
T["name"] = {kind = "string"}
T["blob"] = {kind = "opaque"}
T["row"] = {kind = "fixed array", size = 4, of = {kind = "int"}}
T["matrix"] = {kind = "struct", fields = {{name = "rows", type = {kind = "fixed array", size = 2, of = {kind = "named", name = "row"}}}}}
T["entry"] = {kind = "struct", fields = {{name = "item", type = {kind = "named", name = "name"}}, {name = "next", type = {kind = "optional", of = {kind = "named", name = "entry"}}}}}
T["tree"] = {kind = "struct", fields = {{name = "value", type = {kind = "int"}}, {name = "left", type = {kind = "optional", of = {kind = "named", name = "tree"}}}, {name = "right", type = {kind = "optional", of = {kind = "named", name = "tree"}}}}}
T["result"] = {kind = "union", discriminant = {name = "paint", type = {kind = "named", name = "color"}}, cases = {[2] = {name = "why", type = {kind = "string"}}, [3] = false, [5] = false}}
T["lookup"] = {kind = "union", discriminant = {name = "status", type = {kind = "int"}}, cases = {[0] = {name = "found", type = {kind = "named", name = "handle"}}, [1] = {name = "moved", type = {kind = "hyper"}}}}
T["everything"] = {kind = "struct", fields = {{name = "a", type = {kind = "int"}}, {name = "b", type = {kind = "unsigned int"}}, {name = "c", type = {kind = "hyper"}}, {name = "size", type = {kind = "unsigned hyper"}}, {name = "f", type = {kind = "float"}}, {name = "d", type = {kind = "double"}}, {name = "flag", type = {kind = "bool"}}, {name = "paint", type = {kind = "named", name = "color"}}, {name = "title", type = {kind = "named", name = "name"}}, {name = "where", type = {kind = "named", name = "handle"}}, {name = "cookie", type = {kind = "opaque"}}, {name = "data", type = {kind = "opaque"}}, {name = "triple", type = {kind = "fixed array", size = 3, of = {kind = "int"}}}, {name = "tags", type = {kind = "array", of = {kind = "named", name = "name"}}}, {name = "root", type = {kind = "optional", of = {kind = "named", name = "tree"}}}, {name = "entries", type = {kind = "optional", of = {kind = "named", name = "entry"}}}, {name = "outcome", type = {kind = "named", name = "result"}}}}
T["maybe"] = {kind = "union", discriminant = {name = "known", type = {kind = "bool"}}, cases = {[1] = {name = "value", type = {kind = "double"}}, [0] = false}}
T["measure"] = {kind = "union", discriminant = {name = "size", type = {kind = "unsigned int"}}, cases = {[0] = false, [4000000000] = {name = "unit", type = {kind = "string"}}}, rest = {name = "grid", type = {kind = "named", name = "matrix"}}}
T["more"] = {kind = "struct", fields = {{name = "answer", type = {kind = "named", name = "maybe"}}, {name = "length", type = {kind = "named", name = "measure"}}, {name = "later", type = {kind = "optional", of = {kind = "hyper"}}}, {name = "grids", type = {kind = "array", of = {kind = "named", name = "matrix"}}}, {name = "words", type = {kind = "fixed array", size = 2, of = {kind = "unsigned int"}}}, {name = "halves", type = {kind = "array", of = {kind = "float"}}}, {name = "flags", type = {kind = "array", of = {kind = "bool"}}}, {name = "paints", type = {kind = "fixed array", size = 2, of = {kind = "named", name = "color"}}}, {name = "places", type = {kind = "array", of = {kind = "named", name = "handle"}}}, {name = "total", type = {kind = "unsigned hyper"}}}}
V[536874622 .. "." .. 1] = {name = "EVERY_TYPE version 1", procedures = {
  [0] = {name = "ET_NULL", arguments = {}, result = {kind = "void"}},
  [1] = {name = "ET_ECHO", arguments = {{name = "argument", type = {kind = "named", name = "everything"}}}, result = {kind = "named", name = "everything"}},
  [2] = {name = "ET_ADD", arguments = {{name = "argument1", type = {kind = "hyper"}}, {name = "argument2", type = {kind = "int"}}}, result = {kind = "hyper"}},
  [3] = {name = "ET_INVERT", arguments = {{name = "argument", type = {kind = "unsigned int"}}}, result = {kind = "unsigned int"}},
  [4] = {name = "ET_DOUBLE", arguments = {{name = "argument", type = {kind = "unsigned hyper"}}}, result = {kind = "unsigned hyper"}},
  [5] = {name = "ET_HALF", arguments = {{name = "argument", type = {kind = "float"}}}, result = {kind = "float"}},
  [6] = {name = "ET_SQUARE", arguments = {{name = "argument", type = {kind = "double"}}}, result = {kind = "double"}},
  [7] = {name = "ET_NOT", arguments = {{name = "argument", type = {kind = "bool"}}}, result = {kind = "bool"}},
  [8] = {name = "ET_COLOR", arguments = {{name = "argument", type = {kind = "named", name = "color"}}}, result = {kind = "named", name = "color"}},
  [9] = {name = "ET_NAME", arguments = {{name = "argument", type = {kind = "named", name = "name"}}}, result = {kind = "named", name = "name"}},
  [10] = {name = "ET_NEGATE", arguments = {{name = "argument", type = {kind = "named", name = "matrix"}}}, result = {kind = "named", name = "matrix"}},
  [11] = {name = "ET_LOOKUP", arguments = {{name = "argument", type = {kind = "int"}}}, result = {kind = "named", name = "lookup"}},
  [12] = {name = "ET_MIRROR", arguments = {{name = "argument", type = {kind = "named", name = "tree"}}}, result = {kind = "named", name = "tree"}},
  [13] = {name = "ET_BLOB", arguments = {{name = "argument", type = {kind = "unsigned int"}}}, result = {kind = "named", name = "blob"}},
  [14] = {name = "ET_SUM", arguments = {{name = "argument", type = {kind = "named", name = "blob"}}}, result = {kind = "unsigned int"}},
  [15] = {name = "ET_MORE", arguments = {{name = "argument", type = {kind = "named", name = "more"}}}, result = {kind = "named", name = "more"}},
  [20] = {name = "ET_WEAK", arguments = {}, result = {kind = "void"}},
  [21] = {name = "ET_FAIL", arguments = {}, result = {kind = "void"}},
}}
V[536874622 .. "." .. 3] = {name = "EVERY_TYPE version 3", procedures = {
  [1] = {name = "ET_THREE", arguments = {}, result = {kind = "int"}},
}}
local proto = Proto(NAME, TITLE)
local STATUS = {[0] = "SUCCESS", [1] = "PROG_UNAVAIL", [2] = "PROG_MISMATCH", [3] = "PROC_UNAVAIL", [4] = "GARBAGE_ARGS", [5] = "SYSTEM_ERR"}
local f = {
  xid = ProtoField.uint32(NAME .. ".xid", "XID", base.HEX),
  procedure = ProtoField.string(NAME .. ".procedure", "Procedure"),
  status = ProtoField.uint32(NAME .. ".accept_status", "Accept status", base.DEC, STATUS),
  value = ProtoField.string(NAME .. ".value", "Value"),
}
proto.fields = {f.xid, f.procedure, f.status, f.value}
local malformed = ProtoExpert.new(NAME .. ".malformed", "Not of this interface", expert.group.MALFORMED, expert.severity.ERROR)
proto.experts = {malformed}

local MAX_DEPTH = 100
local calls = {} -- what each call asked for, so that its reply is understood

-- A reader ends by an error that names the place; dissect() turns it into an expert item.
local function take(r, size)
  if size > r.left then error({at = r.at, text = "the message ends here"}) end
  local range = r.tvb(r.at, size)
  r.at, r.left = r.at + size, r.left - size
  return range
end

local function padded(size) return size + (-size) % 4 end

local function bytes(r, size)
  if size > r.left then error({at = r.at, text = "a length of " .. size .. " with " .. r.left .. " bytes left"}) end
  local start = r.at
  take(r, padded(size))
  return size > 0 and r.tvb(start, size) or nil
end

local value -- value(r, tree, name, type, depth): adds one value to the tree, and returns its number if it has one

local function leaf(tree, range, name, shown)
  tree:add(f.value, range, shown, name .. ": " .. shown)
end

local function behindNames(type)
  while type.kind == "named" do type = T[type.name] end
  return type
end

-- A pointer to another one of the same struct.
local function leadsTo(type, struct)
  local pointer = behindNames(type)
  return pointer.kind == "optional" and behindNames(pointer.of) == struct
end

local readers = {
  ["void"] = function() end,
  ["int"] = function(r, tree, name)
    local range = take(r, 4)
    leaf(tree, range, name, tostring(range:int()))
    return range:int()
  end,
  ["unsigned int"] = function(r, tree, name)
    local range = take(r, 4)
    leaf(tree, range, name, tostring(range:uint()))
    return range:uint()
  end,
  ["bool"] = function(r, tree, name)
    local range = take(r, 4)
    leaf(tree, range, name, range:uint() == 0 and "FALSE" or "TRUE")
    return range:uint()
  end,
  ["enum"] = function(r, tree, name, type)
    local range = take(r, 4)
    local number = range:int()
    leaf(tree, range, name, (type.names[number] or "?") .. " (" .. number .. ")")
    return number
  end,
  ["hyper"] = function(r, tree, name)
    local range = take(r, 8)
    leaf(tree, range, name, tostring(range:int64()))
  end,
  ["unsigned hyper"] = function(r, tree, name)
    local range = take(r, 8)
    leaf(tree, range, name, tostring(range:uint64()))
  end,
  ["float"] = function(r, tree, name)
    local range = take(r, 4)
    leaf(tree, range, name, tostring(range:float()))
  end,
  ["double"] = function(r, tree, name)
    local range = take(r, 8)
    leaf(tree, range, name, tostring(range:float()))
  end,
  ["quadruple"] = function(r, tree, name)
    local range = take(r, 16)
    leaf(tree, range, name, tostring(range:bytes()))
  end,
  ["string"] = function(r, tree, name)
    local range = bytes(r, take(r, 4):uint())
    leaf(tree, range or r.tvb(r.at - 4, 4), name, range and range:string(ENC_UTF_8) or "")
  end,
  ["opaque"] = function(r, tree, name)
    local size = take(r, 4):uint()
    local range = bytes(r, size)
    leaf(tree, range or r.tvb(r.at - 4, 4), name, size .. " bytes")
  end,
  ["fixed opaque"] = function(r, tree, name, type)
    local range = bytes(r, type.size)
    if range then leaf(tree, range, name, tostring(range:bytes())) end
  end,
  ["array"] = function(r, tree, name, type, depth)
    local count = take(r, 4):uint()
    if count * 4 > r.left then error({at = r.at, text = count .. " elements with " .. r.left .. " bytes left"}) end
    local branch = tree:add(proto, r.tvb(r.at - 4), name .. ": " .. count .. " elements")
    for i = 1, count do value(r, branch, "[" .. (i - 1) .. "]", type.of, depth + 1) end
  end,
  ["fixed array"] = function(r, tree, name, type, depth)
    local branch = tree:add(proto, r.tvb(r.at), name)
    for i = 1, type.size do value(r, branch, "[" .. (i - 1) .. "]", type.of, depth + 1) end
  end,
  ["optional"] = function(r, tree, name, type, depth)
    local range = take(r, 4)
    if range:uint() == 0 then return leaf(tree, range, name, "none") end
    value(r, tree, name, type.of, depth)
  end,
  ["struct"] = function(r, tree, name, type, depth)
    local branch = r.left > 0 and tree:add(proto, r.tvb(r.at), name) or tree
    for i, field in ipairs(type.fields) do
      -- The rest of a list is shown beside its entry, not within: lists are long.
      local isRest = i == #type.fields and i > 1 and leadsTo(field.type, type)
      value(r, isRest and tree or branch, field.name, field.type, isRest and depth or depth + 1)
    end
  end,
  ["union"] = function(r, tree, name, type, depth)
    local branch = tree:add(proto, r.tvb(r.at), name)
    local number = value(r, branch, type.discriminant.name, type.discriminant.type, depth + 1)
    local arm = type.cases[number]
    if arm == nil then arm = type.rest end
    if arm then value(r, branch, arm.name, arm.type, depth + 1) end
  end,
}

value = function(r, tree, name, type, depth)
  if depth > MAX_DEPTH then error({at = r.at, text = "nested too deeply"}) end
  r.values = r.values + 1
  if r.values > 10000 then error({at = r.at, text = "too many values to show"}) end
  type = behindNames(type)
  return readers[type.kind](r, tree, name, type, depth)
end

local function skipAuth(r)
  take(r, 4)
  bytes(r, take(r, 4):uint())
end

-- A call: header, then the arguments.
local function call(r, tree, key, pinfo)
  local xid = r.tvb(r.start, 4):uint()
  take(r, 24)
  skipAuth(r)
  skipAuth(r)
  local procedure = V[key.version].procedures[key.procedure]
  calls[xid] = key
  local name = procedure and procedure.name or ("procedure " .. key.procedure)
  tree:add(f.procedure, r.tvb(r.start + 20, 4), name)
  pinfo.cols.info = name .. " call"
  for _, field in ipairs(procedure and procedure.arguments or {}) do value(r, tree, field.name, field.type, 0) end
end

-- A reply says only which call it answers.
local function reply(r, tree, key, pinfo)
  take(r, 8)
  local procedure = V[key.version].procedures[key.procedure]
  local name = procedure and procedure.name or ("procedure " .. key.procedure)
  tree:add(f.procedure, r.tvb(r.start, 4), name)
  pinfo.cols.info = name .. " reply"
  if take(r, 4):uint() ~= 0 then
    pinfo.cols.info = name .. " reply: denied"
    return
  end
  skipAuth(r)
  local range = take(r, 4)
  tree:add(f.status, range)
  if range:uint() ~= 0 then pinfo.cols.info = name .. " reply: " .. (STATUS[range:uint()] or "?") end
  if range:uint() == 0 and procedure then value(r, tree, "result", procedure.result, 0) end
end

-- What this message is of our interface; nil if it is none of it.
local function keyOf(tvb, at, left)
  if left < 12 then return nil end
  local xid, kind = tvb(at, 4):uint(), tvb(at + 4, 4):uint()
  if kind == 1 then return calls[xid], reply end
  if kind ~= 0 or left < 24 or tvb(at + 8, 4):uint() ~= 2 then return nil end
  local version = tvb(at + 12, 4):uint() .. "." .. tvb(at + 16, 4):uint()
  if V[version] == nil then return nil end
  return {version = version, procedure = tvb(at + 20, 4):uint()}, call
end

local function message(tvb, at, left, pinfo, root)
  local key, read = keyOf(tvb, at, left)
  if key == nil then return false end
  pinfo.cols.protocol = NAME
  local tree = root:add(proto, tvb(at, left), V[key.version].name)
  tree:add(f.xid, tvb(at, 4))
  local r = {tvb = tvb, start = at, at = at, left = left, values = 0}
  local ok, wrong = pcall(read, r, tree, key, pinfo)
  if ok and r.left > 0 and read == call and V[key.version].procedures[key.procedure] then
    ok, wrong = false, {at = r.at, text = r.left .. " bytes are left"}
  end
  if not ok then
    if type(wrong) ~= "table" then error(wrong) end
    tree:add_proto_expert_info(malformed, wrong.text)
  end
  return true
end

local function udp(tvb, pinfo, root)
  return message(tvb, 0, tvb:len(), pinfo, root)
end

-- TCP: records (RFC 5531 §11). Calls back for each fragment that is there whole.
-- Returns the length of the record, or as much as has to be there to know more.
local function fragments(tvb, at, each)
  local start, total = at, tvb:len()
  while at + 4 <= total do
    local size = tvb(at, 4):bitfield(1, 31)
    if each and at + 4 + size <= total then each(at + 4, size) end
    local isLast = tvb(at, 1):uint() >= 0x80
    at = at + 4 + size
    if isLast then return at - start end
  end
  return at + 4 - start
end

local function recordSize(tvb, _, at)
  return fragments(tvb, at, nil)
end

local function record(tvb, pinfo, root)
  local count, joined = 0, ByteArray.new()
  fragments(tvb, 0, function(at, size)
    count = count + 1
    if size > 0 then joined:append(tvb(at, size):bytes()) end
  end)
  if count == 1 then message(tvb, 4, tvb:len() - 4, pinfo, root)
  elseif joined:len() > 0 then message(joined:tvb("Record"), 0, joined:len(), pinfo, root) end
  return tvb:len()
end

-- A function of its own: a call of proto.dissector is one layer more, and the inner of two may not ask for more bytes.
local function records(tvb, pinfo, root)
  dissect_tcp_pdus(tvb, root, 4, recordSize, record)
  return tvb:len()
end

proto.dissector = records

local function tcp(tvb, pinfo, root)
  if tvb:len() < 28 or keyOf(tvb, 4, tvb:len() - 4) == nil then return false end
  if tvb(0, 4):bitfield(1, 31) < 24 and tvb(8, 4):uint() == 0 then return false end
  records(tvb, pinfo, root)
  pinfo.conversation = proto
  return true
end

proto:register_heuristic("udp", udp)
proto:register_heuristic("tcp", tcp)
DissectorTable.get("tcp.port"):add_for_decode_as(proto)
