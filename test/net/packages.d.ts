/** Brings no types of its own. */
declare module 'ws'
