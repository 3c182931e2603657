package fault

// NoLeftoversWithin is NoLeftovers for the impatient.
var NoLeftoversWithin = noLeftovers
