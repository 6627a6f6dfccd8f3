-- How healthy an object of ownernode.io is: of every kind alike, by the conditions in its status.
local health = {status = "Progressing", message = "no status yet"}
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.metadata.generation ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "generation " .. obj.metadata.generation .. " has not been looked at yet"
  return health
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return {status = "Suspended", message = "its spec is suspended"}
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
if found.Stalled ~= nil and found.Stalled.status == "True" then
  return {status = "Degraded", message = found.Stalled.reason .. ": " .. found.Stalled.message}
end
if found.Ready ~= nil and found.Ready.status == "True" then
  return {status = "Healthy", message = found.Ready.message}
end
if found.Ready ~= nil then
  health.message = found.Ready.reason .. ": " .. found.Ready.message
end
return health
