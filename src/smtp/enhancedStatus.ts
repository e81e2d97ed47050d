/** RFC 3463: class.subject.detail, as text, class 2, 4 or 5. */
export type EnhancedStatus = `${2 | 4 | 5}.${number}.${number}`;
