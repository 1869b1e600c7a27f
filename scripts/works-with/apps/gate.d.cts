export function announce(port: number): void
export function slow(): Promise<void>
